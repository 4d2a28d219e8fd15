"""Drive Firefox by Marionette, the protocol that every Firefox speaks: messages of JSON with their length before them."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from collections import deque
from pathlib import Path
from typing import Any

_PREFS = {
    "browser.shell.checkDefaultBrowser": False, "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False, "app.update.enabled": False, "network.captive-portal-service.enabled": False,
    "browser.sessionstore.resume_from_crash": False, "network.connectivity-service.enabled": False,
}  # fmt: skip


def find_firefox() -> str | None:
    return next((path for name in ("firefox-esr", "firefox") if (path := shutil.which(name))), None)


class Firefox:
    """A headless Firefox with a profile of its own; it must be closed."""

    def __init__(self, path: str, profile: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        prefs = {**_PREFS, "marionette.port": port}
        lines = (f'user_pref("{name}", {json.dumps(value)});' for name, value in prefs.items())
        (profile / "user.js").write_text("\n".join(lines))
        command = [path, "--headless", "--marionette", "-remote-allow-system-access", "--no-remote", "--profile", str(profile)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._await_marionette()
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._buffer, self._count = b"", 0
        self._receive()
        self.send("WebDriver:NewSession", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})
        self.send("WebDriver:SetTimeouts", script=30_000, pageLoad=60_000)

    def _await_marionette(self) -> None:
        output = self._process.stdout
        assert output is not None
        for line in output:
            if "Listening on port" in line:  # what it says after that is read, or it would stop when the pipe is full
                threading.Thread(target=lambda: deque(output, maxlen=0), daemon=True).start()
                return
        raise RuntimeError("Firefox ended before it could be driven")

    def send(self, command: str, **parameters: Any) -> Any:
        """Return what a command answers; raise RuntimeError where it fails."""
        self._count += 1
        raw = json.dumps([0, self._count, command, parameters]).encode()
        self._socket.sendall(str(len(raw)).encode() + b":" + raw)
        _, _, error, value = self._receive()
        if error:
            raise RuntimeError(f"{command}: {error['message']}")
        return value.get("value") if isinstance(value, dict) and "value" in value else value

    def _receive(self) -> Any:
        while b":" not in self._buffer:
            self._buffer += self._read()
        length, _, self._buffer = self._buffer.partition(b":")
        while len(self._buffer) < int(length):
            self._buffer += self._read()
        message, self._buffer = self._buffer[: int(length)], self._buffer[int(length) :]
        return json.loads(message)

    def _read(self) -> bytes:
        part = self._socket.recv(65536)
        if not part:
            raise RuntimeError("Firefox closed the connection")
        return part

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what a script in the page returns."""
        return self.send("WebDriver:ExecuteScript", script=script, args=list(arguments))

    def open(self, page: Path, address: str = "") -> None:
        self.send("WebDriver:Navigate", url="about:blank")
        self.send("WebDriver:Navigate", url=page.as_uri() + address)
        self.settle()

    def settle(self) -> None:
        """Wait until all charts are drawn and the address is written."""
        self.send("WebDriver:ExecuteAsyncScript", args=[], script="""
            const done = arguments[arguments.length - 1];
            const look = () => (document.body.dataset.ready ? setTimeout(done, 250) : setTimeout(look, 20));
            look();""")  # fmt: skip

    def press(self, *keys: str) -> None:
        """Press keys one after another, on what has the focus."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.send("WebDriver:PerformActions", actions=[{"type": "key", "id": "keys", "actions": actions}])

    def said(self, page: Path) -> list[str]:
        """Return the messages of the console that a page caused."""
        self.send("Marionette:SetContext", value="chrome")
        try:
            found: list[str] = self.run(
                "return Services.console.getMessageArray().map(String).filter((text) => text.includes(arguments[0]));",
                page.as_uri(),
            )
        finally:
            self.send("Marionette:SetContext", value="content")
        return found

    def close(self) -> None:
        try:
            self.send("Marionette:Quit", flags=["eForceQuit"])
            self._socket.close()
            self._process.wait(timeout=20)
        finally:
            self._process.kill()
            self._process.wait()
