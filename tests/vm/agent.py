#!/usr/bin/python3
"""Inside a virtual machine: does what the tests outside say, over a virtio port.

One request is a line of JSON: {"id", "argv", "input", "timeout"}; one answer is {"id", "code", "out", "err"}, code null
where the time was up. Several may be under way at once. SPDX-License-Identifier: Apache-2.0
"""
import json
import subprocess
import threading

PORT = "/dev/virtio-ports/awsflock.agent"


def carry_out(request):
    try:
        done = subprocess.run(request["argv"], input=request.get("input", ""), capture_output=True, text=True,
                              errors="replace", timeout=request.get("timeout", 60))
        return {"code": done.returncode, "out": done.stdout, "err": done.stderr}
    except subprocess.TimeoutExpired as expired:
        said = [(text or b"").decode(errors="replace") for text in (expired.stdout, expired.stderr)]
        return {"code": None, "out": said[0], "err": said[1]}
    except OSError as error:
        return {"code": 127, "out": "", "err": str(error)}


def main():
    writing = threading.Lock()
    with open(PORT, "r+b", buffering=0) as port:
        def serve(request):
            answer = json.dumps({"id": request["id"], **carry_out(request)}) + "\n"
            with writing:
                left = answer.encode()
                while left:
                    left = left[port.write(left):]

        port.write(b'{"id": 0}\n')
        for line in iter(port.readline, b""):
            threading.Thread(target=serve, args=(json.loads(line),), daemon=True).start()


if __name__ == "__main__":
    main()
