"""Files that are dropped together."""

from qtpy.QtCore import QMimeData, QUrl

from napari_hush.widgets.data.drag_and_drop import read_drop


def test_dropped_files_are_in_natural_order(tmp_path):
    mime = QMimeData()
    names = ["t10.tif", "t2.tif", "t1.tif"]
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / name)) for name in names])
    dropped = read_drop(mime, [])
    assert [path.name for path in dropped.paths] == ["t1.tif", "t2.tif", "t10.tif"]
