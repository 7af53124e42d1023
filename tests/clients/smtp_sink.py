#!/usr/bin/python3
"""A mail server that keeps what it gets: each mail becomes one JSON line of a file.

    smtp_sink.py OUTPUT [--host 127.0.0.1] [--port 0] [--delay SECONDS] [--auth USER:PASSWORD]
                 [--certificate FILE --key FILE [--implicit]]

Prints `listening PORT` once it does. Needs Debian's python3-aiosmtpd. What it makes of a mail depends on the
recipient's name: `later2-…` is put off twice (451) and then taken, `never-…` is always put off, `unknown-…` does not
exist (550), `refused-…` is refused for good (554); all others are taken.
"""

import argparse
import asyncio
import base64
import email
import email.policy
import json
import re
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Sink:
    def __init__(self, output, delay):
        self.output = open(output, "a", encoding="utf-8")
        self.delay = delay
        self.refusals = {}

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name.startswith("unknown-"):
            return "550 5.1.1 there is nobody of that name"
        if name.startswith("refused-"):
            return "554 5.7.1 not from you"
        if name.startswith("never-"):
            return "451 4.3.0 not now"
        later = re.match(r"later(\d+)-", name)
        if later and self.refusals.get(address, 0) < int(later[1]):
            self.refusals[address] = self.refusals.get(address, 0) + 1
            return "451 4.3.0 a little later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        line = {
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "encrypted": server.transport.get_extra_info("ssl_object") is not None,
            "authenticated": bool(session.authenticated),
            "headers": {name.lower(): str(value) for name, value in message.items()},
            "to_names": [address.display_name for address in getattr(message["to"], "addresses", ())],
            "structure": [part.get_content_type() for part in message.walk()],
            "parts": [part_of(part) for part in message.walk() if not part.is_multipart()],
        }
        # Kept before it is answered: what was answered must not be lost.
        self.output.write(json.dumps(line) + "\n")
        self.output.flush()
        if self.delay:
            await asyncio.sleep(self.delay)
        return "250 kept"


def part_of(part):
    content = part.get_payload(decode=True) or b""
    value = {"type": part.get_content_type(), "filename": part.get_filename()}
    if part.get_content_maintype() == "text" and not part.get_filename():
        value["text"] = content.decode(part.get_content_charset() or "utf-8")
    else:
        value["base64"] = base64.b64encode(content).decode()
    return value


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("output")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0)
    parser.add_argument("--auth")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--implicit", action="store_true")
    options = parser.parse_args()
    sink = Sink(options.output, options.delay)
    context = None
    if options.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate, options.key)

    def check(server, session, envelope, mechanism, data):
        user, password = options.auth.split(":", 1)
        is_right = data.login == user.encode() and data.password == password.encode()
        # Not handled: the server itself says so.
        return AuthResult(success=is_right, handled=False)

    def session():
        starttls = context if context and not options.implicit else None
        return SMTP(
            sink,
            hostname="sink.example",
            enable_SMTPUTF8=True,
            data_size_limit=64 * 1024 * 1024,
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=check if options.auth else None,
            auth_required=bool(options.auth),
            # Encryption from the first byte is none that aiosmtpd knows of.
            auth_require_tls=starttls is not None,
        )

    listener = await asyncio.get_running_loop().create_server(
        session, host=options.host, port=options.port, ssl=context if options.implicit else None
    )
    print("listening", listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
