"""A real mail server for tests: keeps what it is sent as JSON files of a folder, read by Python's own mail parser.

What it answers is written into the folder's file `answers`, a line for each message to come; without a line it takes the message.
    mail 550 not you         refuses the sender
    rcpt 550 no such user    refuses the recipient
    data 451 later           refuses the message, after its text
    cut                      takes the message, and is gone before it says so
It prints its port, and ends when its input does.
"""

import asyncio
import email
import email.policy
import json
import os
import sys

from aiosmtpd.smtp import SMTP

folder = sys.argv[1]
utf8 = "--ascii" not in sys.argv


def next_answer():
    path = os.path.join(folder, "answers")
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return ""
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines[1:]))
    return lines[0] if lines else ""


class Handler:
    def __init__(self):
        self.count = 0
        self.plan = {}

    async def handle_MAIL(self, server, session, envelope, address, options):
        answer = next_answer()
        if answer.startswith("mail "):
            return answer[5:]
        self.plan[session] = answer
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = self.plan.get(session, "")
        if answer.startswith("rcpt "):
            return answer[5:]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        answer = self.plan.pop(session, "")
        if answer.startswith("data "):
            return answer[5:]
        self.keep(envelope)
        if answer == "cut":
            server.transport.abort()
        return "250 OK"

    def keep(self, envelope):
        message = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        halves = {part.get_content_type(): part.get_content() for part in message.walk() if not part.is_multipart()}
        kept = {
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "headers": {name.lower(): str(value) for name, value in message.items()},
            "names": [name.lower() for name, _ in message.items()],
            "type": message.get_content_type(),
            "text": halves.get("text/plain"),
            "html": halves.get("text/html"),
            "longest_line": max(len(line) for line in envelope.original_content.splitlines()),
        }
        self.count += 1
        path = os.path.join(folder, "%06d.json" % self.count)
        with open(path + ".part", "w", encoding="utf-8") as file:
            json.dump(kept, file)
        os.rename(path + ".part", path)


async def main():
    handler = Handler()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, enable_SMTPUTF8=utf8), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)


asyncio.run(main())
