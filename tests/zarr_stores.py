"""Zarr stores with many images, for tests."""

import numpy as np
import zarr

AXES = [{"name": a, "type": "space"} for a in "yx"]


def attributes(version, **known):
    """Attributes of a group in the place that a version has for them."""
    if version == "0.4":
        return {name: {"version": version, **value} for name, value in known.items()}
    return {"ome": {"version": version, **known}}


def add_image(group, value, version="0.4"):
    """An image in a group: an array, or full of one value."""
    datasets = [
        {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}
    ]
    known = [{"version": version, "axes": AXES, "datasets": datasets}]
    group.attrs.update(
        {"ome": {"multiscales": known}} if version == "0.5" else {"multiscales": known}
    )
    if np.ndim(value) == 0:
        value = np.full((8, 8), value, "uint16")
    array = group.create_array("0", shape=value.shape, dtype=value.dtype)
    array[...] = value


def plate(
    path,
    wells=("A/1", "A/2", "B/10"),
    fields=2,
    version="0.4",
    images=int,
):
    """A plate; `images` makes the pixels of its fields from 1, 2 ...; None for none."""
    root = zarr.create_group(path, zarr_format=2 if version == "0.4" else 3)
    rows = sorted({well.partition("/")[0] for well in wells})
    columns = sorted({well.partition("/")[2] for well in wells})
    root.attrs.update(
        attributes(
            version,
            plate={
                "rows": [{"name": row} for row in rows],
                "columns": [{"name": column} for column in columns],
                "wells": [
                    {
                        "path": well,
                        "rowIndex": rows.index(well.partition("/")[0]),
                        "columnIndex": columns.index(well.partition("/")[2]),
                    }
                    for well in wells
                ],
                "acquisitions": [{"id": 0}, {"id": 1}],
                "field_count": fields,
            },
        )
    )
    for number, well in enumerate(wells):
        group = root.create_group(well)
        listed = [{"path": str(n), "acquisition": n % 2} for n in range(fields)]
        group.attrs.update(attributes(version, well={"images": listed}))
        for field in range(fields if images else 0):
            pixels = images(1 + number * fields + field)
            add_image(group.create_group(str(field)), pixels, version)
    return path


def collection(path, count=3, version="0.4", images=int, **known):
    """What bioformats2raw writes; `images` makes the pixels from 1, 2 ..."""
    root = zarr.create_group(path, zarr_format=2 if version == "0.4" else 3)
    layout = {"bioformats2raw.layout": 3}
    root.attrs.update(layout if version == "0.4" else {"ome": layout})
    about = root.create_group("OME")
    about.attrs.update(known if version == "0.4" else {"ome": known})
    for number in range(count):
        add_image(root.create_group(str(number)), images(number + 1), version)
    return path
