"""Generated shops of a wanted size, kept between runs."""
import json

from cluster.settings import cache, programs

from . import limited


def folder():
    """Where shops and what comes of them lie."""
    return cache() / "size"


def rows(data, table):
    """Rows of a table of a dataset."""
    manifest = json.loads((data / "dataset.json").read_text(encoding="utf-8"))
    return manifest["tables"][table]["rows"]


def generated(customers, products, days, preset="giftshop"):
    """A shop's tables. The same size gives the same shop, so that one that is there is taken."""
    data = folder() / f"{preset}-{customers}-{products}-{days}"
    if not (data / "dataset.json").exists():
        data.parent.mkdir(parents=True, exist_ok=True)
        command = [programs() / "endcap", "data", "generate", "--preset", preset, "--customers", customers, "--products", products,
                   "--days", days, "--out", data]
        ended = limited.run(command, data.with_suffix(".log"))
        if ended.code != 0:
            raise RuntimeError(f"failed to generate {data.name}: exit code {ended.code}, see {data.with_suffix('.log')}")
    return data


def phases(artifact):
    """What a training says of its phases."""
    run = json.loads((artifact / "run.json").read_text(encoding="utf-8"))
    return run["phases"]
