"""A Hub on this machine: the few questions that pushing and pulling a model asks, answered from memory."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_a_test"


class Hub:
    """Repositories, each a list of commits, each a dictionary of files."""

    def __init__(self) -> None:
        self.repositories: dict[str, list[tuple[str, dict[str, bytes]]]] = {}
        self.branches: dict[str, dict[str, str]] = {}
        self.private: set[str] = set()
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.lie: dict[str, int] = {}
        """File -> the size that is told of it."""
        self.broken = 0
        """A status that everything is answered with; 0 for none."""
        self.address = ""

    def create(self, name: str, files: dict[str, bytes]) -> str:
        self.repositories.setdefault(name, [])
        return self.commit(name, files)

    def commit(self, name: str, files: dict[str, bytes], gone: tuple[str, ...] = ()) -> str:
        commits = self.repositories[name]
        now = {**(commits[-1][1] if commits else {}), **files}
        now = {path: content for path, content in now.items() if path not in gone}
        sha = hashlib.sha1(f"{name} {len(commits)}".encode()).hexdigest()
        commits.append((sha, now))
        self.branches.setdefault(name, {})["main"] = sha
        return sha

    def files(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        wanted = self.branches.get(name, {}).get(revision, revision)
        return next((one for one in self.repositories[name] if one[0] == wanted), None)


class Handler(BaseHTTPRequestHandler):
    """Answers as the Hub does."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *given: Any) -> None:
        return

    def answer(self, status: int, body: Any = b"", **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_GET(self) -> None:
        self.route()

    def do_HEAD(self) -> None:
        self.route()

    def do_POST(self) -> None:
        self.route()

    def do_PUT(self) -> None:
        self.route()

    def route(self) -> None:
        path, body = unquote(urlsplit(self.path).path), self.body()
        self.hub.asked.append(f"{self.command} {path}")
        if self.hub.broken:
            self.answer(self.hub.broken, {"error": "broken"})
            return
        words = path.strip("/").split("/")
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if words[0] == "storage":
            self.hub.objects[words[1]] = body
            self.answer(200)
        elif path == "/api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        elif not known and self.command in ("POST", "PUT"):
            self.answer(401, {"error": "Invalid username or password."})
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            if name not in self.hub.repositories:
                self.hub.create(name, {".gitattributes": b""})
                if asked.get("private") or asked.get("visibility") == "private":
                    self.hub.private.add(name)
            self.answer(200, {"url": f"{self.hub.address}/{name}", "name": name, "id": name})
        elif words[0] == "api":
            self.api(words, body, known)
        else:
            self.repository(words, body, known)

    def there(self, name: str, known: bool) -> bool:
        if name in self.hub.repositories and (known or name not in self.hub.private):
            return True
        self.answer(404 if known else 401, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        return False

    def api(self, words: list[str], body: bytes, known: bool) -> None:
        name, rest = "/".join(words[2:4]), words[4:]
        if not self.there(name, known):
            return
        if rest[:1] == ["preupload"]:
            modes = [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if one["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for one in json.loads(body)["files"]
            ]
            self.answer(200, {"files": modes})
        elif rest[:1] == ["commit"]:
            lines = [json.loads(line) for line in body.splitlines()]
            files = {}
            for line in lines:
                value = line["value"]
                if line["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    files[value["path"]] = self.hub.objects[value["oid"]]
            gone = tuple(line["value"]["path"] for line in lines if line["key"] == "deletedFile")
            sha = self.hub.commit(name, files, gone)
            self.answer(200, {"commitUrl": f"{self.hub.address}/{name}/commit/{sha}", "commitOid": sha})
        else:
            found = self.hub.files(name, rest[1] if rest[:1] == ["revision"] else "main")
            if found is None:
                self.answer(404, {"error": "Invalid rev id"}, X_Error_Code="RevisionNotFound")
                return
            sizes = {path: self.hub.lie.get(path, len(content)) for path, content in found[1].items()}
            siblings = [{"rfilename": path, "size": size, "blobId": "0"} for path, size in sizes.items()]
            self.answer(200, {"id": name, "modelId": name, "sha": found[0], "siblings": siblings, "tags": []})

    def repository(self, words: list[str], body: bytes, known: bool) -> None:
        name = "/".join(words[:2]).removesuffix(".git")
        if not self.there(name, known):
            return
        if words[2:] == ["info", "lfs", "objects", "batch"]:
            objects = [
                {**one, "actions": {"upload": {"href": f"{self.hub.address}/storage/{one['oid']}"}}}
                for one in json.loads(body)["objects"]
            ]
            self.answer(200, {"transfer": "basic", "objects": objects})
        elif words[2:3] == ["resolve"]:
            found = self.hub.files(name, words[3])
            file = "/".join(words[4:])
            if found is None or file not in found[1]:
                code = "RevisionNotFound" if found is None else "EntryNotFound"
                self.answer(404, {"error": "not found"}, X_Error_Code=code)
                return
            tag = f'"{hashlib.sha256(found[1][file]).hexdigest()}"'
            self.answer(200, found[1][file], X_Repo_Commit=found[0], ETag=tag)
        else:
            self.answer(404, {"error": "what?"})


@contextmanager
def serving() -> Iterator[Hub]:
    """A Hub that answers under ``hub.address`` meanwhile, on this machine only."""
    hub = Hub()
    handler = type("Bound", (Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        hub.address = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield hub
        finally:
            server.shutdown()
