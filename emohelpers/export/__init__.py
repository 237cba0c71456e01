"""Networks as files that answer without Keras: ONNX, LiteRT, OpenVINO, TensorFlow's SavedModel.

`write` makes such a file of a trained network, `open_exported` answers with one, `check` says how
far the two differ on images, and `export` does all of it for a published network.
`emohelpers.inference.EmotionRecognizer` takes the files of ONNX and LiteRT in place of a network.
"""

from emohelpers.export._check import check
from emohelpers.export._files import FORMATS, file_name
from emohelpers.export._published import export
from emohelpers.export._running import ExportedNetwork, open_exported
from emohelpers.export._writing import write

__all__ = ["FORMATS", "ExportedNetwork", "check", "export", "file_name", "open_exported", "write"]
