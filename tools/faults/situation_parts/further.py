"""Further situations, from public issue trackers of readers, viewers and users."""

from __future__ import annotations

import json
import shutil
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
import zarr
from PIL import Image

from situation_parts.contents import SHAPE, Situation, grey, labels, rgb
from situation_parts.listed import _rows, csv, deep_png, exif, picture, tiff
from situation_parts.raw_tiff import picture_tags, write_raw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

H, W = SHAPE


def raw(
    bits: Sequence[int], meaning: int | None, pixels: Callable[[], bytes], **more: int
) -> Callable[[Path], Path]:
    """Return what writes a TIFF of one page tag by tag."""
    return lambda folder: write_raw(
        folder / "raw.tif",
        [(picture_tags(H, W, bits, meaning, **more), pixels())],
    )


def packed_12() -> bytes:
    """Two pixels in three bytes."""
    pairs = (grey().astype(np.uint16) * 16).reshape(-1, 2)
    first, second = pairs[:, 0], pairs[:, 1]
    parts = [first >> 4, (first & 15) << 4 | second >> 8, second & 255]
    return np.stack(parts, axis=1).astype(np.uint8).tobytes()


def stacked(folder: Path, axes: str, plane_at: int) -> Path:
    """ImageJ hyperstack of two channels and three slices."""
    path = folder / "hyper.tif"
    sizes = {"Z": 3, "C": 2}
    lead = [sizes[axis] for axis in axes[:-2]]
    planes = [grey(seed) for seed in range(1, 7)]
    planes[plane_at] = grey()
    stack = np.stack(planes).reshape(*lead, H, W)
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": axes})
    return path


def pyramid(sub: bool) -> Callable[[Path], Path]:
    """Return what writes a pyramid: levels as SubIFDs, or as pages as VIPS does."""

    def write(folder: Path) -> Path:
        path = folder / "pyramid.tif"
        with tifffile.TiffWriter(path) as writer:
            writer.write(grey(), subifds=1 if sub else 0, tile=(64, 64))
            writer.write(
                grey()[::2, ::2].copy(), subfiletype=1, tile=(64, 64), metadata=None
            )
        return path

    return write


def one_of_many(folder: Path) -> Path:
    """OME-TIFF that says that other planes lie in other files."""
    path = folder / "part.ome.tif"
    said = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/'
        '2016-06" UUID="urn:uuid:1"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        f'DimensionOrder="XYZCT" Type="uint8" SizeX="{W}" SizeY="{H}" SizeZ="1" '
        'SizeC="2" SizeT="1"><Channel ID="Channel:0:0"/><Channel ID="Channel:0:1"/>'
        '<TiffData FirstC="0" PlaneCount="1"><UUID FileName="part.ome.tif">urn:uuid:1'
        '</UUID></TiffData><TiffData FirstC="1" PlaneCount="1"><UUID FileName='
        '"other.ome.tif">urn:uuid:2</UUID></TiffData></Pixels></Image></OME>'
    )
    tifffile.imwrite(path, grey(), description=said, metadata=None)
    return path


def companion(folder: Path) -> Path:
    """OME-TIFF whose description lies in another file."""
    path = folder / "binary.ome.tif"
    said = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/'
        '2016-06" UUID="urn:uuid:1"><BinaryOnly MetadataFile="a.companion.ome" '
        'UUID="urn:uuid:2"/></OME>'
    )
    tifffile.imwrite(path, grey(), description=said, metadata=None)
    return path


def two_depths(folder: Path) -> Path:
    """8 bits in colour with a scale bar, and 16 bits without, as microscopes save."""
    path = folder / "two.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(rgb(), photometric="rgb")
        writer.write(grey().astype(np.uint16) * 257)
    return path


def no_data(folder: Path) -> Path:
    """GeoTIFF with -9999 where nothing was measured."""
    path = folder / "geo.tif"
    pixels = grey().astype(np.float32)
    pixels[:, :30] = -9999
    tifffile.imwrite(path, pixels, extratags=[(42113, 2, 6, "-9999", True)])
    return path


def ome_zarr(
    axes: str | None, array: Callable[[], Any], **more: Any
) -> Callable[[Path], Path]:
    """Return what writes an OME-Zarr of version 0.4; of 0.1 without axes."""

    def write(folder: Path) -> Path:
        root = folder / "image.zarr"
        inside = root / "0" if more.get("wrapped") else root
        group = zarr.open_group(str(inside), mode="w", zarr_format=2)
        pixels = array()
        # Of one chunk, of which others may be missing.
        chunks = (*(1,) * (pixels.ndim - 2), 48, 60)
        held = group.create_array(
            "0", shape=pixels.shape, chunks=chunks, dtype=pixels.dtype
        )
        held[...] = pixels
        described: dict[str, Any] = {"version": "0.4", "datasets": [{"path": "0"}]}
        if axes is not None:
            kinds = {"c": "channel", "t": "time"}
            described["axes"] = [
                {"name": a, "type": kinds.get(a, "space")} for a in axes
            ]
            described["datasets"][0]["coordinateTransformations"] = [
                {"type": "scale", "scale": [1.0] * len(axes)}
            ]
        group.attrs["multiscales"] = [described]
        if more.get("wrapped"):
            outer = zarr.open_group(str(root), mode="a", zarr_format=2)
            outer.attrs["bioformats2raw.layout"] = 3
        return root

    return write


def holed_zarr(folder: Path) -> Path:
    """Plain zarr one of whose chunks got lost, filled with NaN by its own word."""
    path = folder / "holes.zarr"
    held = zarr.create_array(
        str(path), shape=SHAPE, chunks=(48, 60), dtype="f4", fill_value=np.nan
    )
    held[...] = grey().astype(np.float32) / 255
    shutil.rmtree(path / "c" / "1", ignore_errors=True)
    return path


def transparent(folder: Path) -> Path:
    """PNG whose transparent pixels hide other greys."""
    alpha = np.full(SHAPE, 255, np.uint8)
    alpha[:, :30] = 0
    Image.fromarray(np.dstack([grey(), alpha]), mode="LA").save(folder / "la.png")
    return folder / "la.png"


def keyed(folder: Path) -> Path:
    """Grey PNG one of whose levels is transparent."""
    Image.fromarray(grey()).save(folder / "key.png", transparency=30)
    return folder / "key.png"


def significant(folder: Path) -> Path:
    """12 bits that a camera's program stretched to 16, and said so."""
    return deep_png(
        grey().astype(np.uint16) * 257, folder / "sbit.png", (b"sBIT", b"\x0c")
    )


def grey_palette(folder: Path) -> Path:
    """Palette of few greys in another order than their numbers."""
    shown = grey() // 8
    order = np.random.default_rng(3).permutation(32).astype(np.uint8)
    ramp = np.zeros(32, np.uint8)
    ramp[order] = np.arange(32, dtype=np.uint8) * 8
    made = Image.fromarray(order[shown], mode="P")
    made.putpalette(np.repeat(ramp, 3).tobytes())
    made.save(folder / "greys.png")
    return folder / "greys.png"


def pgm(folder: Path) -> Path:
    """12 bits of 4095."""
    pixels = (grey().astype(np.uint16) * 16).astype(">u2")
    path = folder / "camera.pgm"
    path.write_bytes(f"P5\n{W} {H}\n4095\n".encode() + pixels.tobytes())
    return path


def resource_fork(folder: Path) -> Path:
    """Folder with what macOS leaves beside each file."""
    inside = folder / "images"
    inside.mkdir()
    tifffile.imwrite(inside / "image.tif", grey())
    (inside / "._image.tif").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(200))
    return inside


def from_one(folder: Path) -> Path:
    """Labels of ilastik: background 1, objects 2."""
    path = folder / "simple segmentation.tif"
    tifffile.imwrite(path, (labels() > 0).astype(np.uint8) + 1)
    return path


def from_the_end(folder: Path) -> Path:
    """Labels that are counted from 255 down: background 255."""
    path = folder / "from the end.tif"
    tifffile.imwrite(path, np.where(labels() > 0, 254, 255).astype(np.uint8))
    return path


def mask_list(folder: Path) -> Path:
    """One mask an object, as instances of detectors are kept."""
    path = folder / "masks.tif"
    numbered = labels()
    planes = np.stack([numbered == n for n in range(1, 6)]).astype(np.uint8)
    tifffile.imwrite(path, planes)
    return path


def offset_short(folder: Path) -> Path:
    """Signed numbers that ImageJ keeps as unsigned ones, with a calibration."""
    path = folder / "calibrated.tif"
    shifted = grey().astype(np.uint16) + 32768
    tifffile.imwrite(
        path,
        shifted,
        imagej=True,
        metadata={"cf": 0, "c0": -32768.0, "c1": 1.0, "vunit": "Gray Value"},
    )
    return path


def array_file(folder: Path) -> Path:
    """An array of numpy."""
    np.save(folder / "image.npy", grey())
    return folder / "image.npy"


def hdf(folder: Path) -> Path:
    """The begin of an HDF5 file, as of ilastik and Imaris."""
    (folder / "image.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(2000))
    return folder / "image.h5"


def dicom(folder: Path) -> Path:
    """The begin of a DICOM file."""
    (folder / "image.dcm").write_bytes(bytes(128) + b"DICM" + bytes(2000))
    return folder / "image.dcm"


def heic(folder: Path) -> Path:
    """The begin of a picture of a phone, called JPEG."""
    head = struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic"
    (folder / "phone.jpg").write_bytes(head + bytes(2000))
    return folder / "phone.jpg"


def animated(folder: Path) -> Path:
    """GIF of two frames."""
    frames = [Image.fromarray(grey(seed)) for seed in (0, 1)]
    frames[0].save(folder / "two.gif", save_all=True, append_images=frames[1:])
    return folder / "two.gif"


def odd_points(where: Any) -> str:
    """Points as spreadsheets of other countries write them."""
    rows = [
        f'{i},"{str(y).replace(".", ",")}","{str(x).replace(".", ",")}"'
        for i, (y, x) in enumerate(where)
    ]
    return "\n".join(["index,axis-0,axis-1", *rows, ""])


def exchanged(where: Any) -> str:
    """Points by x and y, as Fiji and QuPath write them."""
    return "\n".join(["X,Y", *(f"{x},{y}" for y, x in where), ""])


def napari_layers(where: Any) -> str:
    """Points of a plane of a stack."""
    rows = [f"{i},12.000000000000002,{y},{x}" for i, (y, x) in enumerate(where)]
    return "\n".join(["index,axis-0,axis-1,axis-2", *rows, ""])


def with_json(folder: Path) -> Path:
    """Zarr of format 2 in Fortran order and big endian."""
    path = folder / "fortran.zarr"
    path.mkdir()
    pixels = grey().astype(">u2") * 257
    said: Mapping[str, Any] = {
        "zarr_format": 2,
        "shape": SHAPE,
        "chunks": SHAPE,
        "dtype": ">u2",
        "order": "F",
        "compressor": None,
        "filters": None,
        "fill_value": 0,
    }
    (path / ".zarray").write_text(json.dumps(said))
    (path / "0.0").write_bytes(pixels.astype(">u2").tobytes(order="F"))
    return path


def _rgba(hidden: int) -> np.ndarray:
    shown = np.dstack([rgb(), np.full(SHAPE, 255, np.uint8)])
    shown[:, :30] = hidden
    shown[:, :30, 3] = 0
    return shown


FURTHER = [
    Situation(
        0,
        "TIFF, white is 0, signed",
        "InsightSoftwareConsortium/ITK#6636",
        tiff(
            lambda: (-1 - (grey().astype(np.int16) - 128)).astype(np.int8),
            photometric="miniswhite",
        ),
    ),
    Situation(
        0,
        "TIFF, white is 0, float",
        "InsightSoftwareConsortium/ITK#6575",
        tiff(lambda: 1 - grey().astype(np.float32) / 255, photometric="miniswhite"),
        like="float",
    ),
    Situation(
        0,
        "TIFF, white is 0, 16 bits",
        "python-pillow/Pillow#6642",
        tiff(lambda: 65535 - grey().astype(np.uint16) * 257, photometric="miniswhite"),
        like="grey16",
    ),
    Situation(
        0,
        "TIFF without a photometric meaning",
        "photopea/UTIF.js#85",
        raw([8], None, lambda: grey().tobytes()),
    ),
    Situation(
        0,
        "TIFF called RGB with two samples",
        "pearu/pylibtiff#34",
        raw([8, 8], 2, lambda: np.dstack([grey(), grey(1)]).tobytes(), planar=1),
    ),
    Situation(
        0,
        "RGB TIFF with one number of bits",
        "RawTherapee/RawTherapee#1295",
        raw([8], 2, lambda: rgb().tobytes(), samples=3, planar=1),
        like="rgb8",
    ),
    Situation(
        0,
        "TIFF with more numbers of bits than samples",
        "python-pillow/Pillow#6041",
        raw([8, 8, 8], 1, lambda: grey().tobytes(), samples=1),
    ),
    Situation(
        0,
        "TIFF of packed 12 bits",
        "python-pillow/Pillow#414",
        raw([12], 1, packed_12),
        like="grey12",
    ),
    Situation(
        0,
        "TIFF of 4 bits",
        "constantinius/geotiff.js#202",
        raw(
            [4], 1, lambda: ((grey()[:, ::2] & 240) | (grey()[:, 1::2] >> 4)).tobytes()
        ),
    ),
    Situation(
        0,
        "TIFF with bits in the other order",
        "photopea/UTIF.js#85",
        raw(
            [8],
            1,
            lambda: np.packbits(
                np.unpackbits(grey()[..., None], axis=2)[..., ::-1], axis=2
            ).tobytes(),
            fill=2,
        ),
    ),
    Situation(
        0,
        "TIFF of undefined samples",
        "InsightSoftwareConsortium/ITK#6575",
        raw([8], 1, lambda: grey().tobytes(), format=4),
    ),
    Situation(
        0,
        "TIFF of complex numbers",
        "InsightSoftwareConsortium/ITK#6575",
        tiff(lambda: grey().astype(np.complex64)),
        like="float",
    ),
    Situation(
        0,
        "12 bits in 16",
        "python-pillow/Pillow#274",
        tiff(lambda: grey().astype(np.uint16) * 16),
        like="grey12",
    ),
    Situation(
        0,
        "signed 16 bits, shifted",
        "fiji/fiji#336",
        tiff(lambda: (grey().astype(np.int32) - 32768).astype(np.int16)),
    ),
    Situation(0, "ImageJ, signed by calibration", "mdoube/BoneJ#6", offset_short),
    Situation(
        0,
        "float from 0 to 1",
        "stardist/stardist#84",
        tiff(lambda: grey().astype(np.float32) / 255),
    ),
    Situation(
        0,
        "fake stretched by its percentiles: measured as it is",
        "stardist/stardist#84",
        tiff(lambda: np.clip((grey(1) - 25) / 140, 0, 1).astype(np.float32)),
        "fake",
        like="none",
    ),
    Situation(
        0,
        "float of 64 bits",
        "python-pillow/Pillow#274",
        tiff(lambda: grey().astype(np.float64) / 255),
        like="float",
    ),
    Situation(
        0,
        "image with NaN",
        "napari/napari#1310",
        tiff(
            lambda: np.where(np.arange(W) < 4, np.nan, grey() / 255).astype(np.float32)
        ),
        like="float",
    ),
    Situation(
        0, "no data is -9999 (GeoTIFF)", "radiantearth/stac-browser#387", no_data
    ),
    Situation(
        0,
        "RGB TIFF, plane after plane",
        "imageio/imageio#226",
        tiff(
            lambda: np.moveaxis(rgb(), 2, 0).copy(),
            photometric="rgb",
            planarconfig="separate",
        ),
        like="rgb8",
    ),
    Situation(
        0,
        "RGB TIFF of 48 bits",
        "napari/napari#924",
        tiff(lambda: rgb().astype(np.uint16) * 257, photometric="rgb"),
        like="rgb16",
    ),
    Situation(
        0,
        "ImageJ hyperstack ZCYX, one plane",
        "imageio/imageio#681",
        lambda folder: stacked(folder, "ZCYX", 3),
        plane=3,
    ),
    Situation(
        0,
        "TIFF of (H, W, 2)",
        "MouseLand/cellpose#148",
        tiff(lambda: np.dstack([grey(), grey(1)])),
    ),
    Situation(
        0,
        "TIFF of (2, H, W) without names",
        "nf-core/modules#9149",
        tiff(lambda: np.stack([grey(), grey(1)]), photometric="minisblack"),
        plane=0,
    ),
    Situation(
        0,
        "TIFF of (H, W, 1)",
        "napari/napari#1449",
        tiff(lambda: grey()[..., None], photometric="minisblack"),
    ),
    Situation(
        0,
        "TIFF of (3, H, W) in 8 bits, no names",
        "guiwitz/napari-serialcellpose#4",
        tiff(lambda: np.stack([grey(), grey(1), grey(2)]), photometric="minisblack"),
        plane=0,
    ),
    Situation(
        0,
        "stack four columns wide",
        "napari/napari#7261",
        tiff(lambda: np.stack([grey()[:, 20:24]] * 5).copy(), photometric="minisblack"),
        like="none",
    ),
    Situation(0, "pyramid in SubIFDs", "tlambert03/ome-types#137", pyramid(True)),
    Situation(0, "pyramid in pages", "ome/bioformats#3300", pyramid(False)),
    Situation(0, "OME-TIFF, one file of several", "cgohlke/tifffile#54", one_of_many),
    Situation(
        0, "OME-TIFF, described elsewhere", "catalystneuro/roiextractors#595", companion
    ),
    Situation(
        0,
        "TIFF of 8 bits in colour and 16 in grey",
        "hyperspy/hyperspy#2511",
        two_depths,
        like="none",
    ),
    Situation(
        0,
        "OME-Zarr without axes",
        "ome/ome-zarr-py#25",
        ome_zarr(None, lambda: grey()[None, None, None]),
    ),
    Situation(
        0,
        "OME-Zarr, axes called zyx",
        "ome/napari-ome-zarr#40",
        ome_zarr("zyx", lambda: np.stack([grey(), grey(1)])),
        plane=0,
    ),
    Situation(
        0,
        "OME-Zarr, axes x before y",
        "saalfeldlab/n5-ij#99",
        ome_zarr("xy", lambda: grey().T.copy()),
    ),
    Situation(
        0,
        "OME-Zarr of bioformats2raw",
        "ome/napari-ome-zarr#21",
        ome_zarr("yx", grey, wrapped=True),
    ),
    Situation(
        0,
        "zarr whose chunks got lost: no data there",
        "zarr-developers/zarr-python#486",
        holed_zarr,
        like="none",
    ),
    Situation(
        0,
        "zarr in Fortran order, big endian",
        "zarr-developers/zarr-python#486",
        with_json,
        like="grey16",
    ),
    Situation(
        0, "PNG, grey with transparency", "facebookresearch/vggt#434", transparent
    ),
    Situation(0, "PNG, a transparent level", "imageio/imageio#1049", keyed),
    Situation(
        0,
        "PNG of 12 bits stretched to 16",
        "imageio/imageio#1049",
        significant,
        like="grey16",
    ),
    Situation(
        0,
        "PNG of 16 bits, grey",
        "imageio/imageio#982",
        lambda folder: deep_png(grey().astype(np.uint16) * 257, folder / "grey.png"),
        like="grey16",
    ),
    Situation(
        0,
        "RGBA, hidden pixels",
        "facebookresearch/vggt#434",
        picture("rgba.png", lambda: _rgba(0)),
        like="rgb8",
    ),
    Situation(
        0,
        "palette of greys in another order",
        "scikit-image/scikit-image#2817",
        grey_palette,
    ),
    Situation(0, "PGM of 4095 levels", "python-pillow/Pillow#6202", pgm, like="grey12"),
    Situation(
        0,
        "PNG with eXIf orientation",
        "coralnet/coralnet#107",
        exif("t.png", 8),
        like="square8",
    ),
    Situation(
        0,
        "WebP with EXIF orientation",
        "unslothai/unsloth#10553",
        exif("t.webp", 3),
        like="square8",
    ),
    Situation(
        0,
        "CMYK JPEG of Adobe",
        "haraldk/TwelveMonkeys#141",
        picture("inks.jpg", rgb, "CMYK", quality=97),
        like="rgb8",
    ),
    Situation(0, "GIF of two frames", "imageio/imageio#681", animated),
    Situation(0, "numpy array", "MouseLand/cellpose#1495", array_file),
    Situation(0, "HDF5 of ilastik", "ilastik/ilastik#2215", hdf),
    Situation(0, "DICOM", "imagej/ImageJ#51", dicom),
    Situation(0, "HEIC called JPEG", "unslothai/unsloth#10553", heic),
    Situation(
        0, "folder with ._ files of macOS", "weigertlab/spotiflow#12", resource_fork
    ),
    Situation(
        0,
        "labels: background 1, objects 2",
        "ilastik/ilastik#1148",
        from_one,
        "truth",
        like="binary",
    ),
    Situation(
        0,
        "labels from 255 down",
        "ilastik/ilastik#2165",
        from_the_end,
        "truth",
        like="binary",
    ),
    Situation(
        0,
        "labels: background -1",
        "scikit-image/scikit-image#2225",
        tiff(lambda: labels().astype(np.int16) - 1),
        "truth",
    ),
    Situation(
        0,
        "labels above 255",
        "AIM-Harvard/pyradiomics#571",
        tiff(lambda: np.where(labels() > 0, labels() + 300, 0).astype(np.uint16)),
        "truth",
    ),
    Situation(
        0,
        "mask of 0 and 255",
        "MouseLand/cellpose#805",
        tiff(lambda: (labels() > 0).astype(np.uint8) * 255),
        "truth",
        like="binary",
    ),
    Situation(
        0,
        "mask of 0 and 1 in 16 bits",
        "stardist/stardist#52",
        tiff(lambda: (labels() > 0).astype(np.uint16)),
        "truth",
        like="binary",
    ),
    Situation(
        0,
        "labels in colours, RGBA TIFF",
        "HenriquesLab/ZeroCostDL4Mic#8",
        tiff(
            lambda: np.dstack(
                [
                    np.stack(
                        [labels() * 37 % 256, labels() * 91 % 256, labels() * 53 % 256],
                        2,
                    ),
                    np.full(SHAPE, 255),
                ]
            ).astype(np.uint8),
            photometric="rgb",
        ),
        "truth",
    ),
    Situation(
        0,
        "a mask an object, stacked",
        "MouseLand/cellpose#446",
        mask_list,
        "truth",
        like="none",
    ),
    Situation(
        0,
        "labels of 16 bits as PNG",
        "wkentaro/labelme#68",
        lambda folder: deep_png(labels(), folder / "label.png"),
        "truth",
    ),
    Situation(
        0, "points with decimal commas", "napari/napari#2288", csv(odd_points), "points"
    ),
    Situation(0, "points by X and Y", "napari/napari#8353", csv(exchanged), "points"),
    Situation(
        0,
        "points of a plane of a stack",
        "napari/napari#2288",
        csv(napari_layers),
        "points",
    ),
    Situation(
        0,
        "points in UTF-8 with a mark",
        "napari/napari#8353",
        csv(_rows, "utf-8-sig"),
        "points",
    ),
]
