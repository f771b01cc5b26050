"""What Schemathesis has to know of our formats to make good values of them."""

import datetime
import string

import schemathesis
from hypothesis import strategies as st

LETTERS = string.ascii_letters + string.digits + "-_.:/ éßжあ한"

device_ids = st.text(st.sampled_from(LETTERS), min_size=1, max_size=128)
times = st.datetimes(datetime.datetime(1, 1, 2), datetime.datetime(9999, 12, 30)).map(lambda time: time.isoformat() + "Z")
# Of up to 64 bytes, however many each letter has.
labels = st.text(st.sampled_from(LETTERS), min_size=1, max_size=64).filter(lambda text: len(text.encode()) <= 64)

schemathesis.openapi.format("device-id", device_ids)
schemathesis.openapi.format("date-time", times)
schemathesis.openapi.format("label", labels)
