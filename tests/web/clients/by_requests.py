"""Calls the service with requests."""

import base64
import sys
from pathlib import Path

import requests

address, picture = sys.argv[1], Path(sys.argv[2])

with picture.open("rb") as file:
    print(base64.b64encode(requests.post(f"{address}/denoise", files={"file": file}, timeout=60).content).decode())

accept = {"Accept": "application/json"}
print(requests.post(f"{address}/denoise", data=picture.read_bytes(), headers=accept, timeout=60).text)

print(requests.post(f"{address}/denoise", data=b"no picture", timeout=60).text)
