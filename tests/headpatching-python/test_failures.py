"""What happens when servers misbehave, and that a key goes nowhere but into its header."""

from __future__ import annotations

import json
import os
import time
import unittest
from unittest import mock

import headpatching as hp
from support import Misbehaving, problem

MODELS = (200, {}, json.dumps({"models": [{"name": "m"}], "datasets": []}))
KEY = "s3cret-k3y-value"


class Retried(unittest.TestCase):
    def test_failures_that_pass_are_tried_again(self) -> None:
        busy = (503, {"Retry-After": "0"}, "{}")
        with Misbehaving(busy, None, (502, {"Retry-After": "0"}, "<html>"), MODELS) as server:
            self.assertEqual(hp.Client(server.url).models()[0].name, "m")
            self.assertEqual(len(server.asked), 4)

    def test_an_answer_that_is_cut_off_is_asked_for_again(self) -> None:
        with Misbehaving((200, {"Content-Length": "500"}, MODELS[2]), MODELS) as server:
            client = hp.Client(server.url)
            with mock.patch.object(time, "sleep"):
                self.assertEqual(client.models()[0].name, "m")

    def test_retry_after_is_kept_to(self) -> None:
        with Misbehaving((429, {"Retry-After": "1"}, "{}"), MODELS) as server:
            started = time.monotonic()
            hp.Client(server.url).models()
            self.assertGreaterEqual(time.monotonic() - started, 1.0)

    def test_tries_are_bounded(self) -> None:
        full = problem(429, "too-many-sweeps", "Too many sweeps wait for their turn.")
        with Misbehaving((*full[:1], {**full[1], "Retry-After": "0"}, full[2])) as server:
            with self.assertRaisesRegex(hp.TooManySweeps, "wait for their turn"):
                hp.Client(server.url).sweep()
            self.assertEqual(len(server.asked), 6)
        with Misbehaving((503, {"Retry-After": "30"}, "{}")) as server:
            with self.assertRaises(hp.ServerError):
                hp.Client(server.url, patience=1).models()
            self.assertEqual(len(server.asked), 1, "no wait that is longer than the patience")

    def test_a_delete_that_may_have_been_heard_is_not_sent_again(self) -> None:
        status = (200, {}, json.dumps({"id": "k" + "0" * 24, "status": "running", "progress": {"phase": "patching"}}))
        with Misbehaving(status, status, None) as server:
            sweep = hp.Client(server.url).get("k" + "0" * 24)
            with self.assertRaises(hp.Unreachable):
                sweep.cancel()
            self.assertEqual([method for method, *_ in server.asked].count("DELETE"), 1)

    def test_a_post_that_is_sent_again_has_the_same_key(self) -> None:
        accepted = (202, {}, json.dumps({"id": "k" + "0" * 24, "status": "completed"}))
        done = (200, {}, json.dumps({"id": "k" + "0" * 24, "status": "completed", "progress": {"phase": "done"}}))
        with Misbehaving(None, accepted, done) as server:
            self.assertEqual(hp.Client(server.url).sweep().status, "completed")
            keys = [headers["idempotency-key"] for method, _, headers in server.asked if method == "POST"]
            self.assertEqual((len(keys), len(set(keys))), (2, 1))


class Refused(unittest.TestCase):
    def test_who_answers_something_else_is_named(self) -> None:
        with Misbehaving((200, {}, "<html>a router</html>")) as server:
            with self.assertRaisesRegex(hp.ServerError, "not JSON. Is it HeadPatching.*a router"):
                hp.Client(server.url).models()
        with Misbehaving((404, {}, "nginx")) as server:
            with self.assertRaisesRegex(hp.NotFound, "answered 404"):
                hp.Client(server.url).models()
        with Misbehaving(problem(500, "internal", "The server failed.")) as server:
            with self.assertRaisesRegex(hp.ServerError, "The server failed"):
                hp.Client(server.url).models()
            self.assertEqual(len(server.asked), 1)

    def test_nobody_there(self) -> None:
        with Misbehaving(MODELS) as server:
            url = server.url
        with self.assertRaisesRegex(hp.Unreachable, "headpatch serve"):
            hp.connect(url)
        self.assertNotEqual(hp.connect().url, url, "one that does not answer is not the session's server")

    def test_addresses_and_keys_that_cannot_be(self) -> None:
        for url in ("ftp://host", "file:///etc/passwd", "127.0.0.1:7071", "http://", "http://host:99999"):
            with self.subTest(url), self.assertRaisesRegex(hp.HeadPatchingError, "http://HOST:PORT"):
                hp.Client(url)
        for url in (f"https://host/?code={KEY}", f"https://user:{KEY}@host"):
            with self.assertRaises(hp.HeadPatchingError) as raised:
                hp.Client(url)
            self.assertNotIn(KEY, str(raised.exception))
        with self.assertRaisesRegex(hp.HeadPatchingError, "encryption"):
            hp.Client("http://example.org", key=KEY)
        with self.assertRaises(hp.HeadPatchingError) as raised:
            hp.Client("https://host", key=f"{KEY}\n")
        self.assertNotIn(KEY, str(raised.exception))

    def test_a_model_folder_is_for_a_server_of_ones_own(self) -> None:
        with Misbehaving(MODELS) as server:
            with self.assertRaisesRegex(hp.InvalidRequest, "by name, never by folder"):
                hp.Client(server.url).sweep("./some/model")
            self.assertEqual(server.asked, [])


class Keys(unittest.TestCase):
    def test_the_key_is_sent_in_its_header_and_shown_nowhere(self) -> None:
        echo = problem(400, "invalid-request", f"Bad {KEY}", detail=KEY, errors=[{"path": "x", "kind": "y", "message": f"\x1b[2J{KEY}"}])
        with Misbehaving(echo) as server, mock.patch.dict(os.environ, HEADPATCHING_URL=server.url, HEADPATCHING_KEY=KEY):
            with self.assertRaises(hp.InvalidRequest) as raised:
                hp.connect()
            self.assertNotIn("\x1b", str(raised.exception))
            client = hp.Client(server.url, key=KEY)
            self.assertEqual(server.asked[0][2]["x-functions-key"], KEY)
            self.assertNotIn(KEY, server.asked[0][1])
            for text in (str(raised.exception), repr(client), repr(client.connection), client.url):
                self.assertNotIn(KEY, text)
        with Misbehaving((200, {}, f"not json {KEY}")) as server:
            with self.assertRaises(hp.ServerError) as failed:
                hp.Client(server.url, key=KEY).models()
            self.assertNotIn(KEY, str(failed.exception))

    def test_the_key_follows_no_redirect(self) -> None:
        with Misbehaving(MODELS) as elsewhere, Misbehaving((302, {"Location": elsewhere.url}, "")) as server:
            with self.assertRaises(hp.ServerError):
                hp.Client(server.url, key=KEY).models()
            self.assertEqual(elsewhere.asked, [])

    def test_a_wrong_key(self) -> None:
        with Misbehaving((401, {}, "")) as server:
            with self.assertRaisesRegex(hp.NotAllowed, "HEADPATCHING_KEY"):
                hp.Client(server.url).models()


if __name__ == "__main__":
    unittest.main()
