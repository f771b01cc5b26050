#!/usr/bin/env python3
"""Checks the words of doc comments and documents, and the names of types: `scripts/lib/words.py`.

Some words make sentences hard to read if they come often. Their counts are bounded per 10,000 words.
Other words have a better one, the glossary's, and are refused as names.
Two types that other modules use may not share a name.
"""

import collections
import pathlib
import re
import sys

# Per 10,000 words of the documents: README.md and its neighbours, and docs/.
DOCUMENTS_AT_MOST = {"told": 3}

# Per 10,000 words of `///` and `//!` comments.
AT_MOST = {"what": 20, "told": 3, "where": 30}
AT_LEAST = {"returns": 15}

# Names that are refused, each with the word of docs/reference/glossary.md.
INSTEAD = {
    "Pulse": "Heartbeat",
    "Signs": "Liveness",
    "Telling": "NotificationKind",
    "Told": "SentNotification",
    "Outrun": "Conflict",
    "Fenced": "LeaseState",
    "Courier": "ReportClient",
    "Tally": "Stats",
    "Rested": "WrittenEvent",
    "Keeper": "LeaseKeeper",
    "PATIENCE": "TIMEOUT",
    "AT_ONCE": "BATCH_SIZE",
    "EVERY": "INTERVAL",
    "LOOK_AROUND": "POLL_INTERVAL",
}

# The crates of the product, and the names of types that each program or rule may have for itself.
PRODUCTS = ["alerter", "ingest-api", "pisync-core", "queue-worker"]
ONE_EACH = {"Command", "Config", "Metrics", "Settings"}

ROOT = pathlib.Path(__file__).resolve().parents[2]


def sources():
    for path in sorted((ROOT / "crates").glob("*/**/*.rs")):
        if "target" not in path.parts:
            yield path, path.read_text()


def words_of_docs(text):
    lines = (re.match(r"\s*//[/!] ?(.*)", line) for line in text.splitlines())
    return re.findall(r"[A-Za-z']+", " ".join(line[1] for line in lines if line).lower())


def faults_of_documents():
    texts = [path.read_text() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]]
    words = re.findall(r"[A-Za-z']+", " ".join(texts).lower())
    faults = []
    for word, bound in DOCUMENTS_AT_MOST.items():
        share = words.count(word) * 10_000 / len(words)
        print(f"{word}: {share:.1f} per 10,000 words of documents (bound {bound})")
        if share > bound:
            faults.append(f"'{word}' comes too often in the documents")
    return faults


def faults_of_types():
    """Returns a fault for each name that two types have of which other modules see both."""
    places = collections.defaultdict(list)
    for path, text in sources():
        name = path.relative_to(ROOT)
        if name.parts[1] in PRODUCTS and name.parts[2] == "src":
            for found in re.findall(r"(?m)^ *pub(?:\(crate\))? (?:struct|enum|trait|union) (\w+)", text):
                places[found].append(str(name))
    return [f"{' and '.join(at)}: two types are named {name}" for name, at in places.items()
            if len(at) > 1 and name not in ONE_EACH]


def main():
    count, by_file, faults = collections.Counter(), collections.defaultdict(collections.Counter), []
    for path, text in sources():
        name = path.relative_to(ROOT)
        words = words_of_docs(text)
        count.update(words)
        for word in AT_MOST:
            by_file[word][name] = words.count(word)
        for number, line in enumerate(text.splitlines(), 1):
            for word in re.findall(r"\b(?:[A-Z_]+_)?(%s)\b" % "|".join(INSTEAD), line):
                faults.append(f"{name}:{number}: {word}: say {INSTEAD[word]}")
    total = sum(count.values())
    for word, bound in (AT_MOST | AT_LEAST).items():
        share = count[word] * 10_000 / total
        print(f"{word}: {share:.1f} per 10,000 words of doc comments (bound {bound})")
        if word in AT_MOST and share > bound:
            most = ", ".join(f"{name} ({times})" for name, times in by_file[word].most_common(5))
            faults.append(f"'{word}' comes too often; most in {most}")
        if word in AT_LEAST and share < bound:
            faults.append(f"'{word}' comes too seldom: begin with \"Returns …\"")
    faults += faults_of_documents() + faults_of_types()
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


main()
