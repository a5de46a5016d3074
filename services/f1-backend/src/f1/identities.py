"""Who is who: one id for a driver, constructor or circuit, whatever the source calls it.

Ids are slugs. A driver's is the slug of given and family name without accents, a constructor's or circuit's
is its Jolpica id with hyphens. The tables below list where the CSV files (f1db) differ. Both importers pass
every name through here, so that the same person, team or track is the same row.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_DRIVERS = {
    "carlos-sainz": "carlos-sainz-jr",
    "andrea-kimi-antonelli": "kimi-antonelli",
    "zhou-guanyu": "guanyu-zhou",
}
_CONSTRUCTORS = {"alfa": "alfa-romeo", "racing-bulls": "rb", "alpha-tauri": "alphatauri"}

# A team that goes on under a new name keeps its ratings: new name → the name before.
_PREDECESSORS = {
    "alfa-romeo": "sauber",
    "kick-sauber": "alfa-romeo",
    "audi": "kick-sauber",
    "alphatauri": "toro-rosso",
    "rb": "alphatauri",
    "racing-point": "force-india",
    "aston-martin": "racing-point",
    "alpine": "renault",
    "caterham": "lotus-racing",
    "marussia": "virgin",
    "manor": "marussia",
}

_CIRCUITS = {
    "albert-park": "melbourne",
    "villeneuve": "montreal",
    "spa": "spa-francorchamps",
    "americas": "austin",
    "red-bull-ring": "spielberg",
    "rodriguez": "mexico-city",
    "bak": "baku",
    "ricard": "paul-ricard",
    "losail": "lusail",
    "vegas": "las-vegas",
}


@dataclass(frozen=True)
class Circuit:
    """What does not change about a circuit: its name, its kind, and where it is (degrees)."""

    name: str
    type: str
    latitude: float
    longitude: float


CIRCUITS: dict[str, Circuit] = {
    "austin": Circuit("Circuit of the Americas", "RACE", 30.133, -97.641),
    "bahrain": Circuit("Bahrain International Circuit", "RACE", 26.033, 50.511),
    "baku": Circuit("Baku City Circuit", "STREET", 40.373, 49.853),
    "buddh": Circuit("Buddh International Circuit", "RACE", 28.349, 77.533),
    "catalunya": Circuit("Circuit de Barcelona-Catalunya", "RACE", 41.570, 2.261),
    "hockenheimring": Circuit("Hockenheimring", "RACE", 49.328, 8.566),
    "hungaroring": Circuit("Hungaroring", "RACE", 47.579, 19.249),
    "imola": Circuit("Autodromo Enzo e Dino Ferrari", "RACE", 44.344, 11.717),
    "interlagos": Circuit("Autódromo José Carlos Pace", "RACE", -23.704, -46.700),
    "istanbul": Circuit("Istanbul Park", "RACE", 40.952, 29.405),
    "jeddah": Circuit("Jeddah Corniche Circuit", "STREET", 21.632, 39.104),
    "las-vegas": Circuit("Las Vegas Strip Circuit", "STREET", 36.115, -115.173),
    "lusail": Circuit("Lusail International Circuit", "RACE", 25.490, 51.454),
    "madring": Circuit("Madring", "STREET", 40.466, -3.616),
    "marina-bay": Circuit("Marina Bay Street Circuit", "STREET", 1.291, 103.864),
    "melbourne": Circuit("Albert Park Circuit", "STREET", -37.850, 144.968),
    "mexico-city": Circuit("Autódromo Hermanos Rodríguez", "RACE", 19.404, -99.091),
    "miami": Circuit("Miami International Autodrome", "STREET", 25.958, -80.239),
    "monaco": Circuit("Circuit de Monaco", "STREET", 43.735, 7.421),
    "montreal": Circuit("Circuit Gilles Villeneuve", "STREET", 45.500, -73.523),
    "monza": Circuit("Autodromo Nazionale Monza", "RACE", 45.616, 9.281),
    "mugello": Circuit("Mugello Circuit", "RACE", 43.998, 11.372),
    "nurburgring": Circuit("Nürburgring", "RACE", 50.336, 6.948),
    "paul-ricard": Circuit("Circuit Paul Ricard", "RACE", 43.251, 5.792),
    "portimao": Circuit("Algarve International Circuit", "RACE", 37.227, -8.627),
    "sepang": Circuit("Sepang International Circuit", "RACE", 2.761, 101.738),
    "shanghai": Circuit("Shanghai International Circuit", "RACE", 31.339, 121.220),
    "silverstone": Circuit("Silverstone Circuit", "RACE", 52.079, -1.017),
    "sochi": Circuit("Sochi Autodrom", "ROAD", 43.406, 39.958),
    "spa-francorchamps": Circuit("Circuit de Spa-Francorchamps", "RACE", 50.437, 5.971),
    "spielberg": Circuit("Red Bull Ring", "RACE", 47.220, 14.765),
    "suzuka": Circuit("Suzuka Circuit", "RACE", 34.843, 136.541),
    "valencia": Circuit("Valencia Street Circuit", "STREET", 39.459, -0.332),
    "yas-marina": Circuit("Yas Marina Circuit", "RACE", 24.467, 54.603),
    "yeongam": Circuit("Korea International Circuit", "RACE", 34.733, 126.417),
    "zandvoort": Circuit("Circuit Zandvoort", "RACE", 52.389, 4.541),
}


def slug(text: str) -> str:
    """Lower-case ASCII words joined by hyphens; accents and apostrophes go. Raises ValueError when nothing
    is left."""
    plain = unicodedata.normalize("NFKD", text.replace("ø", "o").replace("ß", "ss"))
    plain = plain.encode("ascii", "ignore").decode().lower().replace("'", "")
    words = re.findall(r"[a-z0-9]+", plain)
    if not words:
        raise ValueError(f"no letters or digits in {text!r}")
    return "-".join(words)


def driver_id(name: str) -> str:
    """Id of a driver from a slug or "Given Family"."""
    plain = slug(name)
    return _DRIVERS.get(plain, plain)


def constructor_id(name: str, season: int) -> str:
    """Id of a constructor from a slug or a Jolpica id. Jolpica says `sauber` for what became Kick Sauber in
    2024."""
    plain = slug(name)
    if plain == "sauber" and season >= 2024:
        return "kick-sauber"
    return _CONSTRUCTORS.get(plain, plain)


def circuit_id(name: str) -> str:
    """Id of a circuit from a slug or a Jolpica id."""
    plain = slug(name)
    return _CIRCUITS.get(plain, plain)


def lineage(constructor: str) -> str:
    """The first known name of a team, under which its ratings are kept."""
    while constructor in _PREDECESSORS:
        constructor = _PREDECESSORS[constructor]
    return constructor


def title(identifier: str) -> str:
    """A readable name for an id whose source gives none: `max-verstappen` → `Max Verstappen`."""
    return _TITLES.get(identifier) or " ".join(
        word if word in {"de", "di", "van", "der", "la"} else word.capitalize()
        for word in identifier.split("-")
    )


_TITLES = {
    "alphatauri": "AlphaTauri",
    "carlos-sainz-jr": "Carlos Sainz",
    "haas": "Haas",
    "hrt": "HRT",
    "jerome-dambrosio": "Jérôme d'Ambrosio",
    "lotus-f1": "Lotus F1",
    "mclaren": "McLaren",
    "nico-hulkenberg": "Nico Hülkenberg",
    "rb": "RB",
    "sergio-perez": "Sergio Pérez",
    "kimi-raikkonen": "Kimi Räikkönen",
    "jean-eric-vergne": "Jean-Éric Vergne",
}
