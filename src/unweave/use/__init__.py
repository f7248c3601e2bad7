"""Using and sharing a trained model: pictures to codes and back, a folder for others, the Hub, ONNX."""

from unweave.use.files import picture_names as picture_names
from unweave.use.files import write_pictures as write_pictures
from unweave.use.hub import pull as pull
from unweave.use.hub import push as push
from unweave.use.onnx import export_onnx as export_onnx
from unweave.use.pictures import Edited as Edited
from unweave.use.pictures import Encoded as Encoded
from unweave.use.pictures import decode as decode
from unweave.use.pictures import edit as edit
from unweave.use.pictures import encode as encode
from unweave.use.save import save as save
from unweave.use.tables import read_table as read_table
from unweave.use.tables import write_codes as write_codes
