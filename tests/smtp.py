"""A mail server on a free port of the loopback interface, for the tests.

    smtp.py FOLDER USER PASSWORD REFUSALS

It wants STARTTLS and the login. Each mail becomes a file in FOLDER, 0001.json and so on; the
first REFUSALS mails are kept as well, and then answered with a temporary error. FOLDER/ca.pem
is what its certificate is signed with, FOLDER/port its port, written when it listens.
"""

import asyncio
import base64
import email
import email.policy
import json
import os
import pathlib
import ssl
import sys

import trustme
from aiosmtpd.smtp import SMTP, AuthResult

folder, user, password, refusals = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])


def put(name: str, text: str) -> None:
    """Writes a file that is whole as soon as it is there."""
    part = folder / (name + ".part")
    part.write_text(text)
    os.replace(part, folder / name)


class Keeper:
    def __init__(self):
        self.count = 0

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        answer = "451 4.3.0 not now" if self.count <= refusals else "250 2.0.0 taken"
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = message.get_body(preferencelist=("plain",))
        html = message.get_body(preferencelist=("html",))
        mail = {
            "answer": answer,
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": [[name.lower(), str(value)] for name, value in message.items()],
            "text": body.get_content() if body else "",
            "html": html.get_content() if html else "",
            "pictures": [
                base64.b64encode(part.get_content()).decode()
                for part in message.walk()
                if part.get_content_type() == "image/png"
            ],
        }
        put(f"{self.count:04}.json", json.dumps(mail))
        return answer


def authenticate(server, session, envelope, mechanism, data):
    good = data.login == user.encode() and data.password == password.encode()
    return AuthResult(success=good, handled=False)


def certificate() -> ssl.SSLContext:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


async def main():
    keeper, context = Keeper(), certificate()

    def protocol():
        return SMTP(
            keeper,
            hostname="localhost",
            tls_context=context,
            require_starttls=True,
            authenticator=authenticate,
            auth_required=True,
        )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    put("port", str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


asyncio.run(main())
