#!/usr/bin/env bash
# Uses the installed command `dinoprompt` once for everything, in the current folder.
set -euo pipefail
dinoprompt --version
dinoprompt models
env -u DISPLAY -u WAYLAND_DISPLAY dinoprompt demo
test -s dinoprompt-demo/demo.png

sample=$(python -c 'import napari_dinoprompt.sample_data as s; print(s.__path__[0])')
real=$sample/early_nuclei_real.png
dinoprompt reference "$real" --points "$sample/early_prompts.csv" --output nuclei
dinoprompt segment "$real" "$sample/early_nuclei_fake_trained.png" \
  --reference nuclei.reference.safetensors --output results --split
dinoprompt compare "$real" "$sample"/early_nuclei_fake_*.png \
  --reference nuclei.reference.safetensors --output comparison --split \
  --truth "$sample/early_nuclei_truth.tif"
dinoprompt study "$real" --points "$sample/early_prompts.csv" --output study \
  --orders 20 --parts convergence,influence
dinoprompt cache

# What is wrong is one line and exit code 2.
code=0
dinoprompt segment missing.tif --reference nuclei.reference.safetensors \
  --output results || code=$?
test "$code" = 2
