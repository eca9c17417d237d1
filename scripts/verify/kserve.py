"""What a user of tritonclient does first, against a served Skerry: python kserve.py HOST:PORT KEY GOLDEN"""

import json
import sys

import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

address, key, golden = sys.argv[1:]
headers = {"Authorization": f"Bearer {key}"}
with open(golden) as file:
    expected = json.load(file)
rows = np.array(expected["rows"], dtype=np.float32)
scores = np.array(expected["scores"])

client = http.InferenceServerClient(address)
assert client.is_server_live() and client.is_server_ready()
assert client.is_model_ready("flight-forest", headers=headers)
metadata = client.get_model_metadata("flight-forest", headers=headers)
assert metadata["inputs"][0]["shape"] == [-1, rows.shape[1]], metadata
version = metadata["versions"][0]

tensor = http.InferInput("rows", rows.shape, "FP32")
tensor.set_data_from_numpy(rows, binary_data=False)
outputs = [http.InferRequestedOutput(name, binary_data=False) for name in ("score", "unusual")]
for asked in ("", version):
    result = client.infer("flight-forest", [tensor], asked, outputs, request_id="r-1", headers=headers)
    assert result.get_response()["id"] == "r-1"
    off = np.abs(result.as_numpy("score") - scores).max()
    assert off < 1e-6, off
    assert (result.as_numpy("unusual") == (scores >= expected["threshold"])).all()


def refused(status, word, call):
    try:
        call()
    except InferenceServerException as error:
        assert error.status() == status and word in error.message(), error
    else:
        raise AssertionError(f"not refused with {status}")


refused("401", "token", lambda: client.get_model_metadata("flight-forest"))
refused("404", "no model", lambda: client.get_model_metadata("flight-oracle", headers=headers))
tensor.set_data_from_numpy(rows, binary_data=True)
refused("400", "binary", lambda: client.infer("flight-forest", [tensor], headers=headers))
print(f"ok: tritonclient read the metadata of flight-forest {version} and scored {len(rows)} rows to {off:.1e}; refusals arrive as its exceptions.")
