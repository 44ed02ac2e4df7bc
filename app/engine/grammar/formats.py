"""The supported formats of JSON Schema, as regexes for the whole text.

Sources: RFC 3339 (dates and times; leap seconds at 23:59:60 UTC, in offsets of whole quarters of an hour), RFC 5321
(mailbox), RFC 2673 and 4291 (addresses), RFC 3986 (URI), RFC 6570 (templates), RFC 6901 (pointers).
"""

from __future__ import annotations

_HOUR, _MINUTE = "(?:[01][0-9]|2[0-3])", "[0-5][0-9]"
_FRACTION = r"(?:\.[0-9]+)?"
_OFFSET = f"(?:[zZ]|[+-]{_HOUR}:{_MINUTE})"
_LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DATE = (
    "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    f"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)"
)


def _leap_seconds() -> str:
    """23:59:60 UTC, in each offset of whole quarters of an hour."""
    found = [rf"23:59:60{_FRACTION}[zZ]"]
    for quarters in range(96):
        hours, minutes = divmod(15 * quarters, 60)
        for sign, away in (("+", 15 * quarters), ("-", -15 * quarters)):
            local = (23 * 60 + 59 + away) % 1440
            clock, offset = f"{local // 60:02}:{local % 60:02}", f"{hours:02}:{minutes:02}"
            found.append(rf"{clock}:60{_FRACTION}[{sign}]{offset}")
    return "|".join(found)


_TIME = f"(?:{_HOUR}:{_MINUTE}:[0-5][0-9]{_FRACTION}{_OFFSET}|{_leap_seconds()})"
_CLOCK = "T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)"
_DAYS = "(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)"

_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"(?:{_BYTE}\.){{3}}{_BYTE}"
_H16 = "[0-9a-fA-F]{1,4}"
_LS32 = f"(?:{_H16}:{_H16}|{_IPV4})"
_IPV6 = "|".join((
    f"(?:{_H16}:){{6}}{_LS32}",
    f"::(?:{_H16}:){{5}}{_LS32}",
    *(f"(?:(?:{_H16}:){{0,{n}}}{_H16})?::(?:{_H16}:){{{4 - n}}}{_LS32}" for n in range(5)),
    f"(?:(?:{_H16}:){{0,5}}{_H16})?::{_H16}",
    f"(?:(?:{_H16}:){{0,6}}{_H16})?::",
))  # fmt: skip

_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_ATOM = r"[a-zA-Z0-9!#$%&'*+\-/=?^_`{|}~]+"
_QUOTED = r"\x{22}(?:[ !#-\[\]-~]|\x{5C}[ -~])*\x{22}"
_EMAIL = (
    rf"(?:{_ATOM}(?:\.{_ATOM})*|{_QUOTED})"
    rf"@(?:{_LABEL}(?:\.{_LABEL})*|\[(?:{_IPV4}|IPv6:(?:{_IPV6}))\])"
)

_UNRESERVED, _DELIMS, _PERCENT = r"a-zA-Z0-9\-._~", r"!$&'()*+,;=", "%[0-9a-fA-F]{2}"
_PCHAR = f"(?:[{_UNRESERVED}{_DELIMS}:@]|{_PERCENT})"
_SEGMENT_WITHOUT_COLON = f"(?:[{_UNRESERVED}{_DELIMS}@]|{_PERCENT})+"
_HOST = (
    rf"(?:\[(?:{_IPV6}|v[0-9a-fA-F]+\.[{_UNRESERVED}{_DELIMS}:]+)\]"
    rf"|(?:[{_UNRESERVED}{_DELIMS}]|{_PERCENT})*)"
)
_AUTHORITY = rf"(?:(?:[{_UNRESERVED}{_DELIMS}:]|{_PERCENT})*@)?{_HOST}(?::[0-9]*)?"
_ABSOLUTE = f"/(?:{_PCHAR}+(?:/{_PCHAR}*)*)?"
_TAIL = rf"(?:\?(?:{_PCHAR}|[/?])*)?(?:#(?:{_PCHAR}|[/?])*)?"
_URI = rf"[a-zA-Z][a-zA-Z0-9+\-.]*:(?://{_AUTHORITY}(?:/{_PCHAR}*)*|{_ABSOLUTE}|{_PCHAR}+(?:/{_PCHAR}*)*)?{_TAIL}"
_RELATIVE = f"(?://{_AUTHORITY}(?:/{_PCHAR}*)*|{_ABSOLUTE}|{_SEGMENT_WITHOUT_COLON}(?:/{_PCHAR}*)*)?{_TAIL}"

_NAME = rf"(?:[a-zA-Z0-9_]|{_PERCENT})(?:\.?(?:[a-zA-Z0-9_]|{_PERCENT}))*(?:\*|:[1-9][0-9]{{0,3}})?"
_TEMPLATE = (
    rf"(?:[^\x{{0}}-\x{{20}}\x{{22}}%<>\x{{5C}}^`{{|}}\x{{7F}}]|{_PERCENT}|\{{[+#./;?&]?{_NAME}(?:,{_NAME})*\}})*"
)
_POINTER = r"(?:/(?:[^/~]|~[01])*)*"

FORMATS: dict[str, str] = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}[tT]{_TIME}",
    "duration": f"P(?:{_DAYS}(?:{_CLOCK})?|{_CLOCK}|[0-9]+W)",
    "email": _EMAIL,
    "ipv4": _IPV4,
    "ipv6": _IPV6,
    "uri": _URI,
    "uri-reference": f"{_URI}|{_RELATIVE}",
    "uri-template": _TEMPLATE,
    "uuid": "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
    "json-pointer": _POINTER,
    "relative-json-pointer": rf"(?:0|[1-9][0-9]*)(?:#|{_POINTER})",
}
"""Regexes by name; the whole text must match."""

UNSUPPORTED_FORMATS = frozenset(("hostname", "idn-email", "idn-hostname", "iri", "iri-reference", "regex"))
"""Formats of the standard that are refused. All other names are annotations, which do not constrain the text."""
