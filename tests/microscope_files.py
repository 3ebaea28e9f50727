"""Small LIF and ND2 files, for tests: no library writes these formats."""

import struct
import zlib
from xml.sax.saxutils import quoteattr

_DIMENSIONS = {"X": 1, "Y": 2, "Z": 3, "T": 4, "λ": 5, "A": 6, "M": 10}


def write_lif(path, images, lost=(), others=""):
    """A LIF file with images ``(name, axes, array, step in meters by letter)``.

    Axes are in the order of storage, S for colors of one pixel. Blocks of the images
    whose numbers are `lost` are left out. `others` are further elements, as XML.
    """
    elements = "".join(_lif_element(n, *image) for n, image in enumerate(images))
    text = (
        '<LMSDataContainerHeader Version="2"><Element Name="file" UniqueID="u">'
        '<Data><Experiment Path="a"/></Data><Memory Size="0" MemoryBlockID="M"/>'
        f"<Children>{elements}{others}</Children></Element></LMSDataContainerHeader>"
    )
    parts = [_lif_text(text)]
    for number, (_, _, array, _) in enumerate(images):
        if number not in lost:
            name = f"MemBlock_{number}"
            parts.append(
                struct.pack("<IIBQBI", 0x70, 0, 0x2A, array.nbytes, 0x2A, len(name))
            )
            parts += [name.encode("utf-16-le"), array.tobytes()]
    path.write_bytes(b"".join(parts))
    return path


def _lif_text(text):
    return struct.pack("<IIBI", 0x70, 2 * len(text) + 5, 0x2A, len(text)) + text.encode(
        "utf-16-le"
    )


def _lif_element(number, name, axes, array, step):
    bits, kind = 8 * array.dtype.itemsize, int(array.dtype.kind == "f")
    colors = array.shape[axes.index("S")] if "S" in axes else 1
    at = axes.find("C")
    planes = array.shape[at] if at >= 0 else 1
    channels = "".join(
        f'<ChannelDescription DataType="{kind}" ChannelTag="{s + 1 if colors > 1 else 0}" '
        f'Resolution="{bits}" NameOfMeasuredQuantity="" Min="0" Max="1" Unit="" '
        f'LUTName="Lut {c}" IsLUTInverted="0" BytesInc="'
        f'{c * array.strides[at] + s * array.itemsize}" BitInc="0"/>'
        for c in range(planes)
        for s in range(colors)
    )
    dimensions = "".join(
        f'<DimensionDescription DimID="{_DIMENSIONS[a]}" NumberOfElements="{n}" Origin="0" '
        f'Length="{(n - 1) * step.get(a, 0)}" Unit="m" BitInc="0" BytesInc="{stride}"/>'
        for a, n, stride in zip(axes, array.shape, array.strides, strict=True)
        if a not in "CS"
    )
    return (
        f"<Element Name={quoteattr(name)}><Data><Image><ImageDescription>"
        f"<Channels>{channels}</Channels><Dimensions>{dimensions}</Dimensions>"
        "</ImageDescription></Image></Data>"
        f'<Memory Size="{array.nbytes}" MemoryBlockID="MemBlock_{number}"/></Element>'
    )


def write_nd2(
    path, frames, loops=(), *, names=None, pixel=0.1, lost=(), colors=1, packed=False
):
    """An ND2 file of frames ``(n, Y, X, C)``, the innermost of `loops` fastest.

    Loops are ``("T", n)``, ``("Z", n)`` and ``("P", n)``. Frames whose numbers are `lost`
    are left out. `pixel` is the size of a pixel in micrometers, 0 if unknown. `colors` is
    3 for a color camera.
    """
    height, width, components = frames.shape[1:]
    names = names or [f"channel {n}" for n in range(components // colors)]
    bits = 8 * frames.itemsize
    attributes = {"uiWidth": width, "uiWidthBytes": width * components * frames.itemsize}
    attributes |= {"uiHeight": height, "uiComp": components, "uiBpcInMemory": bits}
    attributes |= {"uiBpcSignificant": bits, "uiSequenceCount": len(frames)}
    attributes |= {"eCompression": 0 if packed else 2}
    planes = {
        f"a{i}": {
            "sDescription": name,
            "uiCompCount": colors,
            "pFluorescentProbe": {"a": 0},
        }
        for i, name in enumerate(names)
    }
    picture = {"bCalibrated": pixel > 0, "dCalibration": float(pixel)}
    picture["sPicturePlanes"] = {"uiCount": len(names), "sPlaneNew": planes}
    chunks = {
        "ImageAttributesLV!": _lite({"SLxImageAttributes": attributes}),
        "ImageMetadataSeqLV|0!": _lite({"SLxPictureMetadata": picture}),
    }
    if loops:
        chunks["ImageMetadataLV!"] = _lite({"SLxExperiment": _loop(*loops)})
    for number, frame in enumerate(frames):
        if number not in lost:
            chunks[f"ImageDataSeq|{number}!"] = bytes(8) + (
                zlib.compress(frame.tobytes()) if packed else frame.tobytes()
            )
    out = bytearray(_chunk("ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0".ljust(64), 32))
    listed = b""
    for name, data in chunks.items():
        out += bytes(-len(out) % 4096)
        listed += name.encode() + struct.pack("<QQ", len(out), len(data))
        out += _chunk(name, data, 4072)
    where, end = len(out), b"ND2 CHUNK MAP SIGNATURE 0000001!"
    out += _chunk("ND2 FILEMAP SIGNATURE NAME 0001!", listed + end + bytes(16), 32)
    path.write_bytes(bytes(out) + end + struct.pack("<Q", where))
    return path


def _chunk(name, data, room):
    head = struct.pack("<IIQ", 0x0ABECEDA, room, len(data))
    return head + name.encode().ljust(room, b"\0") + data


def _loop(loop, *inner):
    letter, count = loop
    kind, pars = {
        "T": (1, {"uiCount": count, "dStart": 0.0, "dPeriod": 500.0, "dDuration": 0.0}),
        "P": (2, {"Points": {f"p{i}": {"dPosX": 10.0 * i} for i in range(count)}}),
        "Z": (4, {"uiCount": count, "dZStep": 0.5}),
    }[letter]
    found = {"eType": kind, "uLoopPars": pars}
    return found | ({"ppNextLevelEx": {"i0": _loop(*inner)}} if inner else {})


def _lite(items):
    """Nested values as Nikon's "lite variant"."""
    out = b""
    for name, value in items.items():
        text = name.encode("utf-16-le") + b"\0\0"
        if isinstance(value, dict):
            body = _lite(value)
            length = 2 + len(text) + 12 + len(body)
            out += bytes([11, len(name) + 1]) + text
            out += struct.pack("<IQ", len(value), length) + body + bytes(8 * len(value))
            continue
        number, packed = {
            bool: lambda v: (1, struct.pack("<B", v)),
            int: lambda v: (3, struct.pack("<I", v)),
            float: lambda v: (6, struct.pack("<d", v)),
            str: lambda v: (8, v.encode("utf-16-le") + b"\0\0"),
        }[type(value)](value)
        out += bytes([number, len(name) + 1]) + text + packed
    return out
