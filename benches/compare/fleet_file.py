"""The fleet data set in its line-protocol file, and as Prometheus remote-write requests."""

import itertools
import struct

START_S = 1_767_225_600
METRICS = 10
LINES_PER_REQUEST = 10_000
SECONDS_PER_REQUEST = 10


def rows(path):
    """Every line as device, list of (field, value as text), time in ns as text."""
    with open(path, encoding="ascii") as file:
        for line in file:
            series, fields, time_ns = line.split(" ")
            device = series.partition("=")[2]
            yield device, [field.split("=") for field in fields.split(",")], time_ns


def line_requests(path):
    """Bodies of line protocol with the number of records in each."""
    with open(path, "rb") as file:
        while True:
            lines = list(itertools.islice(file, LINES_PER_REQUEST))
            if not lines:
                return
            body = b"".join(lines)
            # Every field has one "="; so has the tag of every line.
            yield body, body.count(b"=") - len(lines)


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, payload):
    """A length-delimited field of a protobuf message."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def snappy(data):
    """A snappy block of one literal: valid, not compressed, and least work to unpack."""
    return varint(len(data)) + b"\xfc" + struct.pack("<I", len(data) - 1) + data


def labels(name, device):
    pairs = ((b"__name__", f"fleet_{name}".encode()), (b"device", device.encode()))
    return b"".join(field(1, field(1, key) + field(2, value)) for key, value in pairs)


def remote_write_requests(path):
    """Bodies of remote write (protobuf, snappy) with the number of samples in each."""
    heads, samples, count = {}, {}, 0
    end_ns = (START_S + SECONDS_PER_REQUEST) * 10**9
    pack = struct.Struct("<d").pack
    for device, fields, time_text in rows(path):
        time_ns = int(time_text)
        if time_ns >= end_ns:
            yield snappy(write_request(heads, samples)), count
            samples, count = {}, 0
            end_ns = (time_ns // 10**9 + SECONDS_PER_REQUEST) * 10**9
        time_field = b"\x10" + varint(time_ns // 1_000_000)
        for name, value in fields:
            key = name, device
            if key not in heads:
                heads[key] = labels(name, device)
            sample = b"\x09" + pack(float(value)) + time_field
            samples.setdefault(key, []).append(b"\x12" + varint(len(sample)) + sample)
            count += 1
    if count:
        yield snappy(write_request(heads, samples)), count


def write_request(heads, samples):
    return b"".join(field(1, heads[key] + b"".join(parts)) for key, parts in samples.items())


def write_remote_file(path, out):
    """Encodes a line-protocol file once, for several peers."""
    with open(out, "wb") as file:
        for body, count in remote_write_requests(path):
            file.write(struct.pack("<II", len(body), count) + body)


def read_remote_file(path):
    with open(path, "rb") as file:
        while head := file.read(8):
            length, count = struct.unpack("<II", head)
            yield file.read(length), count
