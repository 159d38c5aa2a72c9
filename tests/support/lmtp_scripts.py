"""The scripted LMTP sessions that are held with vmail-lmtpd and with dovecot-lmtp alike."""

import dataclasses

ANNA, BEN, CARL = "anna@diff.test", "ben@diff.test", "carl@diff.test"


@dataclasses.dataclass
class Step:
    """What is sent at once. label names it in the list of differences; replies is how many are due, None for one per
    recipient that the server has accepted since MAIL."""

    label: str
    data: bytes
    replies: int | None = 1


@dataclasses.dataclass
class Script:
    """Steps, each after the replies to the one before; then `tail`, behind which the session is read to its end.

    hang_up: the client goes away after the steps instead of saying QUIT.
    """

    name: str
    steps: list
    tail: bytes = b""
    hang_up: bool = False


def line(text):
    data = text if isinstance(text, bytes) else text.encode()
    label = data.decode("utf-8", "backslashreplace").encode("unicode_escape").decode("ascii")
    return Step(label if len(label) <= 60 else f"{label[:28]}...{label[-28:]}", data + b"\r\n")


LHLO = line("LHLO client.test")
MAIL = line("MAIL FROM:<a@b.test>")
RCPT = line(f"RCPT TO:<{ANNA}>")
DATA = line("DATA")


def text(data, label="text"):
    """The text behind a 354, with its end."""
    return Step(label, data, None)


def chunk(data, last=False, label="BDAT n"):
    command = f"BDAT {len(data)}{' LAST' if last else ''}\r\n".encode()
    return Step(label + " LAST" * last, command + data, None if last else 1)


def envelope(*recipients):
    return [LHLO, MAIL, *(line(f"RCPT TO:<{recipient}>") for recipient in recipients)]


def _alone():
    """One command, before and after LHLO."""
    commands = [
        "NOOP", "NOOP x y", "RSET", "RSET x", "VRFY anna", "VRFY", "HELP", "HELP MAIL", "QUIT x", "HELO a", "EHLO a",
        "LHLO", "LHLO [192.0.2.1]", "LHLO a b", "lhlo client.test", "LHLO bü.test", "DATA", "DATA x", "RCPT TO:<a@b>",
        "MAIL", "MAIL FROM", "STARTTLS", "AUTH PLAIN", "EXPN list", "TURN", "ETRN x", "XCLIENT NAME=x",
        "XFORWARD IDENT=x", "XYZZY", "", " NOOP", "NOOP ", "no op", "N\0OP", "BDAT", "BDAT x",
    ]  # fmt: skip
    for command in commands:
        yield Script(f"alone {command!r}", [line(command)])
        yield Script(f"after LHLO {command!r}", [LHLO, line(command)])


def _mail():
    arguments = [
        "FROM:<>", "FROM:<a@b.test>", "from:<a@b.test>", "FROM: <a@b.test>", "FROM :<a@b.test>", "FROM:a@b.test",
        "FROM:<a@b.test", "FROM:a@b.test>", "FROM:<<a@b.test>>", "FROM:<a@b.test> ", "FROM:<a@b.test>x", "FROM:<a>",
        "FROM:<@b.test>", "FROM:<a@>", "FROM:<a@b@c.test>", "FROM:<a b@c.test>", 'FROM:<"a b"@c.test>',
        'FROM:<""@c.test>', 'FROM:<"a@c.test>', 'FROM:<"a\\"b"@c.test>', "FROM:<a.@c.test>", "FROM:<.a@c.test>",
        "FROM:<a..b@c.test>", "FROM:<@r.test:a@c.test>", "FROM:<@r.test,@s.test:a@c.test>", "FROM:<@r.test a@c.test>",
        "FROM:<a@[192.0.2.1]>", "FROM:<a@[IPv6:2001:db8::1]>", "FROM:<a@[>", "FROM:<ü@c.test>", "FROM:<a@ü.test>",
        "FROM:<\x01@c.test>", "FROM:<a@c_d.test>", "FROM:<a@-c.test>", "FROM:<a@c..test>", "TO:<a@b.test>",
        "FROM:<" + "a" * 64 + "@b.test>", "FROM:<" + "a" * 65 + "@b.test>", "FROM:<" + "a" * 300 + "@b.test>",
        "FROM:<a@" + "b" * 250 + ".test>", "FROM:<postmaster>", "FROM:<MAILER-DAEMON>",
    ]  # fmt: skip
    parameters = [
        "SIZE=10", "SIZE=0", "SIZE", "SIZE=", "SIZE=x", "SIZE=-1", "SIZE=99999999999999999999", "SIZE=1 SIZE=2",
        "size=10", "BODY=7BIT", "BODY=8BITMIME", "body=8bitmime", "BODY=BINARYMIME", "BODY=x", "BODY", "SMTPUTF8",
        "SMTPUTF8=x", "RET=FULL", "RET=HDRS", "RET=x", "RET", "ENVID=abc", "ENVID=a+2Bb", "ENVID=a+zz", "ENVID",
        "AUTH=<>", "AUTH=a", "AUTH", "FOO", "FOO=1", "=1", "SIZE=10  BODY=7BIT", "BY=1;R", "HOLDFOR=1",
    ]  # fmt: skip
    for argument in arguments:
        yield Script(f"MAIL {argument!r}", [LHLO, line("MAIL " + argument)])
    for parameter in parameters:
        yield Script(f"MAIL with {parameter!r}", [LHLO, line("MAIL FROM:<a@b.test> " + parameter)])


def _rcpt():
    arguments = [
        f"TO:<{ANNA}>", f"to:<{ANNA}>", "TO:<Anna@Diff.TEST>", f"TO: <{ANNA}>", f"TO:{ANNA}", f"TO:<{ANNA}",
        "TO:<>", "TO:<nobody@diff.test>", "TO:<anna@elsewhere.test>", "TO:<anna>", "TO:<postmaster>",
        "TO:<anna+tag@diff.test>", "TO:<anna+@diff.test>", "TO:<+tag@diff.test>", 'TO:<"anna"@diff.test>',
        'TO:<""@diff.test>', 'TO:<"anna+a b"@diff.test>', "TO:<anna@diff.test.>", "TO:<anna@[127.0.0.1]>",
        "TO:<@r.test:anna@diff.test>", "TO:<../anna@diff.test>", "TO:<anna/../ben@diff.test>", "TO:<.@diff.test>",
        "TO:<anna\0@diff.test>", "TO:<änna@diff.test>", "TO:<anna@dïff.test>", "TO:<a b@diff.test>",
        "TO:<" + "a" * 65 + "@diff.test>", "TO:<anna@diff.test>x", "FROM:<anna@diff.test>",
    ]  # fmt: skip
    parameters = [
        "NOTIFY=NEVER", "NOTIFY=SUCCESS,FAILURE,DELAY", "NOTIFY=NEVER,SUCCESS", "NOTIFY=x", "NOTIFY",
        "ORCPT=rfc822;anna@diff.test", "ORCPT=utf-8;anna@diff.test", "ORCPT=x", "ORCPT", "ORCPT=rfc822;a+2Bb@diff.test",
        "FOO=1", "NOTIFY=NEVER ORCPT=rfc822;anna@diff.test",
    ]  # fmt: skip
    for argument in arguments:
        yield Script(f"RCPT {argument!r}", [LHLO, MAIL, line("RCPT " + argument)])
    for parameter in parameters:
        yield Script(f"RCPT with {parameter!r}", [LHLO, MAIL, line(f"RCPT TO:<{ANNA}> {parameter}")])


def _order():
    good = text(b"Subject: x\r\n\r\nHi\r\n.\r\n")
    yield Script("MAIL before LHLO", [MAIL, RCPT])
    yield Script("RCPT before MAIL", [LHLO, RCPT])
    yield Script("DATA before MAIL", [LHLO, DATA])
    yield Script("DATA without recipients", [LHLO, MAIL, DATA])
    yield Script("DATA with refused recipients alone", [*envelope("nobody@diff.test"), DATA])
    yield Script("MAIL twice", [LHLO, MAIL, MAIL])
    yield Script("LHLO twice", [LHLO, LHLO, MAIL])
    yield Script("LHLO within a transaction", [*envelope(ANNA), LHLO, RCPT])
    yield Script("RSET within a transaction", [*envelope(ANNA), line("RSET"), RCPT])
    yield Script("RSET, then anew", [*envelope(ANNA), line("RSET"), MAIL, RCPT, DATA, good])
    yield Script("NOOP within a transaction", [*envelope(ANNA), line("NOOP"), DATA, good])
    yield Script("VRFY within a transaction", [*envelope(ANNA), line("VRFY anna"), DATA, good])
    yield Script("STARTTLS within a transaction", [*envelope(ANNA), line("STARTTLS"), DATA, good])
    yield Script("RCPT behind the text", [*envelope(ANNA), DATA, good, RCPT])
    yield Script("DATA behind the text", [*envelope(ANNA), DATA, good, DATA])
    yield Script("two messages", [*envelope(ANNA), DATA, good, MAIL, RCPT, DATA, good])
    yield Script("a good and a bad recipient", [*envelope("nobody@diff.test", ANNA), DATA, good])
    yield Script("a bad recipient between", [*envelope(ANNA, "nobody@diff.test", BEN), DATA, good])
    yield Script("the same recipient twice", [*envelope(ANNA, ANNA), DATA, good])
    yield Script("the same recipient in other case", [*envelope(ANNA, "ANNA@diff.test"), DATA, good])
    yield Script("the same mailbox with an extension", [*envelope(ANNA, "anna+x@diff.test"), DATA, good])
    yield Script("three recipients", [*envelope(ANNA, BEN, CARL), DATA, good])
    yield Script("the null sender", [LHLO, line("MAIL FROM:<>"), RCPT, DATA, good])
    yield Script("a quoted sender", [LHLO, line('MAIL FROM:<"a b"@c.test>'), RCPT, DATA, good])
    yield Script("everything in one burst", [], tail=_burst([ANNA]))
    yield Script("everything in one burst, three recipients", [], tail=_burst([ANNA, "nobody@diff.test", BEN]))
    yield Script("commands of other programs", [line("GET / HTTP/1.1"), line("Host: x"), line("")])
    yield Script("TLS out of the blue", [], tail=b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n")
    yield Script("a line of 1000", [LHLO, Step("NOOP of 1000", b"NOOP " + b"x" * 993 + b"\r\n")])
    yield Script("a line of 5000", [LHLO, Step("NOOP of 5000", b"NOOP " + b"x" * 4993 + b"\r\n")])
    yield Script("a line of 100000", [LHLO, Step("NOOP of 100000", b"NOOP " + b"x" * 99993 + b"\r\n")])
    yield Script("a word of 5000", [LHLO, Step("a word of 5000", b"x" * 5000 + b"\r\n")])
    yield Script("many bad commands", [LHLO, Step("30 bad commands", b"XYZZY\r\n" * 30, 30)])
    yield Script("many refused recipients", [LHLO, MAIL, Step("30 refused", b"RCPT TO:<nobody@diff.test>\r\n" * 30, 30)])
    yield Script("a line that ends with LF", [LHLO, Step("NOOP with LF", b"NOOP\n")])
    yield Script("a line that ends with CR", [LHLO], tail=b"NOOP\rNOOP\r\n")
    yield Script("a line with two CR", [LHLO, Step("NOOP with CR CR LF", b"NOOP\r\r\n")])
    yield Script("commands split by LF", [LHLO], tail=b"MAIL FROM:<a@b.test>\nRSET\r\n")


def _burst(recipients):
    commands = ["LHLO client.test", "MAIL FROM:<a@b.test>", *(f"RCPT TO:<{one}>" for one in recipients), "DATA"]
    return "".join(command + "\r\n" for command in commands).encode() + b"Subject: x\r\n\r\nHi\r\n.\r\n"


TEXTS = {
    "plain": b"Subject: x\r\n\r\nHi\r\n",
    "empty": b"",
    "a line end alone": b"\r\n",
    "no header": b"\r\nHi\r\n",
    "header alone": b"Subject: x\r\n",
    "dots": b"Subject: x\r\n\r\n..\r\n..a\r\n....\r\na.\r\n",
    "a dot that was not doubled": b"Subject: x\r\n\r\n.a\r\n",
    "a dot and blanks": b"Subject: x\r\n\r\n.. \r\n",
    "NUL": b"Subject: x\r\n\r\na\0b\r\n\0\r\n",
    "eight bits": "Subject: ü\r\n\r\nGrüße\r\n".encode(),
    "no UTF-8": b"Subject: \xff\r\n\r\n\xfe\xff\r\n",
    "bare LF": b"Subject: x\r\n\r\na\nb\r\n",
    "bare CR": b"Subject: x\r\n\r\na\rb\r\n",
    "CR CR LF": b"Subject: x\r\n\r\na\r\r\nb\r\n",
    "CR at the end": b"Subject: x\r\n\r\na\r\r\n",
    "LF CR": b"Subject: x\r\n\r\na\n\rb\r\n",
    "all lines with LF": b"Subject: x\n\na\nb\n\r\n",
    "a line of 998": b"Subject: x\r\n\r\n" + b"x" * 998 + b"\r\n",
    "a line of 5000": b"Subject: x\r\n\r\n" + b"x" * 5000 + b"\r\n",
    "a line of 100000": b"Subject: x\r\n\r\n" + b"x" * 100000 + b"\r\n",
    "a long header": b"Subject: " + b"x" * 70000 + b"\r\n\r\nHi\r\n",
    "a folded header": b"Subject: a\r\n b\r\n\tc\r\n\r\nHi\r\n",
    "its own trace headers": b"Return-Path: <x@y>\r\nDelivered-To: z\r\nReceived: w\r\n\r\nHi\r\n",
    "mbox line": b"From x\r\nSubject: x\r\n\r\nFrom y\r\n",
    "a broken header": b"no colon here\r\n\r\nHi\r\n",
    "control characters": b"Subject: x\r\n\r\n" + bytes(range(1, 10)) + b"\r\n",
    "only dots": b"...\r\n" * 3,
    "300 KiB": b"Subject: x\r\n\r\n" + (b"y" * 76 + b"\r\n") * 4000,
}

# What follows CRLF.CRLF in the eyes of one program must not follow it in those of another.
SMUGGLED = {
    "LF.LF": b"a\n.\n",
    "LF.CRLF": b"a\n.\r\n",
    "CR.CR": b"a\r.\r",
    "CRLF.LF": b"a\r\n.\n",
    "CRLF.CR": b"a\r\n.\r",
    "LF.CR.LF": b"a\n.\r.\n",
    "CR LF NUL dot": b"a\r\n\0.\r\n",
}


def _texts():
    for name, data in TEXTS.items():
        yield Script(f"text: {name}", [*envelope(ANNA), DATA, text(data + b".\r\n")])
    for name, data in SMUGGLED.items():
        hidden = b"MAIL FROM:<evil@b.test>\r\nRCPT TO:<ben@diff.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"
        yield Script(f"smuggled: {name}", [*envelope(ANNA), DATA], tail=b"Subject: x\r\n\r\n" + data + hidden)


def _chunks():
    for name, data in TEXTS.items():
        yield Script(f"chunk: {name}", [*envelope(ANNA), chunk(data, last=True)])
    hi = b"Subject: x\r\n\r\nHi\r\n"
    yield Script("two chunks", [*envelope(ANNA), chunk(hi), chunk(b"more\r\n", last=True)])
    yield Script("an empty last chunk", [*envelope(ANNA), chunk(hi), chunk(b"", last=True)])
    yield Script("empty chunks", [*envelope(ANNA), chunk(b""), chunk(hi), chunk(b""), chunk(b"", last=True)])
    yield Script("a line end between chunks", [*envelope(ANNA), chunk(hi + b"a\r"), chunk(b"\nb\r\n", last=True)])
    yield Script("CR at the end of the last chunk", [*envelope(ANNA), chunk(hi + b"a\r", last=True)])
    yield Script("no line end at the end", [*envelope(ANNA), chunk(hi + b"end", last=True)])
    yield Script("chunks for three", [*envelope(ANNA, BEN, CARL), chunk(hi), chunk(hi, last=True)])
    yield Script("DATA within chunks", [*envelope(ANNA), chunk(hi), DATA])
    yield Script("MAIL within chunks", [*envelope(ANNA), chunk(hi), MAIL])
    yield Script("RCPT within chunks", [*envelope(ANNA), chunk(hi), RCPT, line(f"RCPT TO:<{BEN}>")])
    yield Script("NOOP within chunks", [*envelope(ANNA), chunk(hi), line("NOOP"), chunk(hi, last=True)])
    yield Script("RSET within chunks", [*envelope(ANNA), chunk(hi), line("RSET"), MAIL, RCPT, chunk(hi, last=True)])
    unwanted = Step("BDAT that nobody waits for", b"BDAT 14 LAST\r\nRSET\r\nQUIT\r\n12")
    yield Script("a chunk before LHLO", [unwanted, line("NOOP")])
    yield Script("a chunk before MAIL", [LHLO, unwanted, line("NOOP")])
    yield Script("a chunk without recipients", [LHLO, MAIL, unwanted, line("NOOP")])
    yield Script("a chunk with refused recipients alone", [*envelope("nobody@diff.test"), unwanted, line("NOOP")])
    yield Script("BDAT behind the last", [*envelope(ANNA), chunk(hi, last=True), unwanted])
    yield Script("BDAT with a bad word", [*envelope(ANNA)], tail=b"BDAT 4 LATS\r\nabcdNOOP\r\n")
    yield Script("BDAT with a bad size", [*envelope(ANNA)], tail=b"BDAT 4x\r\nabcdNOOP\r\n")
    yield Script("BDAT without a size", [*envelope(ANNA)], tail=b"BDAT\r\nNOOP\r\n")
    yield Script("BDAT in lower case", [*envelope(ANNA), Step("bdat last", b"bdat 4 last\r\nabcd", None)])
    yield Script("chunks in one burst", [], tail=_burst_of_chunks())


def _burst_of_chunks():
    commands = b"LHLO client.test\r\nMAIL FROM:<a@b.test>\r\n" + f"RCPT TO:<{ANNA}>\r\nRCPT TO:<{BEN}>\r\n".encode()
    return commands + b"BDAT 12\r\nSubject: x\r\nBDAT 6 LAST\r\n\r\nHi\r\n"


def _broken():
    for name, data in (
        ("nothing", b""),
        ("half a text", b"Subject: x\r\n\r\nHi"),
        ("a text without its end", b"Subject: x\r\n\r\nHi\r\n"),
        ("a text and a dot", b"Subject: x\r\n\r\nHi\r\n."),
        ("a text, a dot and CR", b"Subject: x\r\n\r\nHi\r\n.\r"),
    ):
        steps = [*envelope(ANNA), DATA, Step("half a text", data, 0)]
        yield Script(f"hangs up: {name}", steps, hang_up=True)
    half = Step("half a chunk", b"BDAT 10 LAST\r\nabc", 0)
    yield Script("hangs up: half a chunk", [*envelope(ANNA), half], hang_up=True)
    yield Script("hangs up: between chunks", [*envelope(ANNA), chunk(b"abc\r\n")], hang_up=True)
    yield Script("hangs up: at once", [], hang_up=True)
    yield Script("hangs up: half a command", [LHLO, Step("half a command", b"MAIL FR", 0)], hang_up=True)
    yield Script("hangs up: in the envelope", envelope(ANNA), hang_up=True)


def scripts():
    every = [*_alone(), *_mail(), *_rcpt(), *_order(), *_texts(), *_chunks(), *_broken()]
    assert len({script.name for script in every}) == len(every), "two scripts have one name"
    return every
