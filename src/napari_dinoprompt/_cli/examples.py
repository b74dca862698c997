"""The examples at the end of the help; rich sets each paragraph by itself."""

from __future__ import annotations

__all__ = [
    "COMPARE_EXAMPLES",
    "EXAMPLES",
    "REFERENCE_EXAMPLES",
    "SEGMENT_EXAMPLES",
    "STUDY_EXAMPLES",
]

EXAMPLES = """Examples:

dinoprompt demo --no-viewer

dinoprompt reference real.tif --points prompts.csv --output nuclei

dinoprompt segment real.tif fake.tif --reference nuclei.reference.safetensors \
--output results --min-size 20 --fill-holes --split

dinoprompt compare real.tif fake.tif --reference nuclei.reference.safetensors \
--output comparison --min-size 20 --fill-holes --split

Prompts are points that napari saves from a Points layer (File > Save Selected \
Layers), with a column class for more than one kind: object, background or any name."""

REFERENCE_EXAMPLES = """Examples:

dinoprompt reference real.tif --points prompts.csv --output nuclei

dinoprompt reference real.tif --points prompts.csv --output nuclei \
--backbone dinov2-base --upscale 2

The points file is what napari saves from a Points layer: index,axis-0,axis-1 with y \
in axis-0 and x in axis-1, in pixels, and, if you like, a column class."""

SEGMENT_EXAMPLES = """Examples:

dinoprompt segment *.tif --reference nuclei.reference.safetensors --output results

dinoprompt segment real/1.tif fake/1.tif --reference nuclei.reference.safetensors \
--output results --threshold 0.6 --min-size 50 --fill-holes --split

dinoprompt segment fakes/ --reference nuclei.reference.safetensors --output results \
--scheduler local:4

Written per image: NAME_similarity.tif, NAME_mask.tif (class numbers) and \
NAME_instances.tif (object numbers); for all of them segmentation.csv. Files of these \
names that are there already are replaced, except where NAME_record.json tells that \
they come from the same image, reference and options: a run that was stopped goes on. \
Images of one name in two folders get the folder's name in front. An image that cannot \
be read is reported and skipped, and the exit code is 2."""

COMPARE_EXAMPLES = """Examples:

dinoprompt compare real.tif fake.tif --reference nuclei.reference.safetensors \
--output comparison --min-size 20 --fill-holes --split

dinoprompt compare real.tif epoch_*.tif --reference nuclei.reference.safetensors \
--output comparison --truth labels.tif --input membrane.tif \
--min-size 20 --fill-holes --split

Written: comparison.csv (all figures and their intervals), comparison.json (the same, \
what each figure means, settings and noise floor), objects.csv (objects without a \
partner), comparison.png and .pdf, and per fake NAME_agreement.tif (1 in both masks, 2 \
only in the real, 3 only in the fake), NAME_ssim.tif, NAME_squared_error.tif and \
NAME_feature_distance.tif. Without --truth the mask of the real, itself an estimate, \
is what the fakes are compared with."""

STUDY_EXAMPLES = """Examples:

dinoprompt study real.tif --points prompts.csv --output study

dinoprompt study real.tif --points prompts.csv --output study --truth labels.tif \
--backbone filterbank --backbone dinov2-small --upscale 1 --upscale 2

dinoprompt study real.tif --points prompts.csv --output study --parts \
convergence,influence --orders 500

Written: convergence.csv, influence.csv, resolution.csv and threshold.csv, a figure \
.png of each, and study.json with all answers. The study takes the automatic \
threshold."""
