"""What the Unicode CLDR says in English and in German: dates, amounts, countries, languages.

Read through Babel. Its no-break spaces become spaces, of which a sentence has no two kinds.
"""

import datetime
import functools
import re
from collections.abc import Mapping
from random import Random
from typing import Literal

from babel import Locale
from babel.dates import format_date, format_time, format_timedelta
from babel.numbers import format_currency
from babel.units import format_unit

Both = tuple[str, str]
EN, DE = Locale("en", "US"), Locale("de")

# "in der Schweiz", "im Irak", "auf Malta": countries with an article, plural ones, islands that are
# no states; and what is no country
NO_PLAIN_IN = (
    "CH TR UA SK MN NL PH MV BS SC KM IQ IR LB YE NE TD SD GM AQ EZ XK CG CI "
    "AI AW BM CQ CU CW CY GG GP GU IS JE MQ MS MT NU RE TK YT"
)
NOT_BOTH = "sog na tvl rhg mh"  # languages of whose two names one is not in use
# present-day ones whose German name is right behind a number
CURRENCIES = (
    "AED ARS AUD BHD CAD CHF CLP CNY COP CZK DKK DZD EGP ETB EUR GBP GHS HKD HUF IDR ILS INR "
    "ISK JMD JOD JPY KES KRW KWD MAD MXN MYR NGN NOK NZD OMR PHP PLN QAR RUB SAR SEK SGD THB TND "
    "TZS UAH UGX USD UYU VND ZAR"
)
UNITS = {
    "mass": ("gram", "kilogram", "pound", "ounce", "milligram"),
    "length": ("meter", "centimeter", "kilometer", "inch", "mile", "millimeter"),
}


class Cldr:
    """The tables, read once."""

    def __init__(self) -> None:
        self.countries = _both_plain(EN.territories, DE.territories, 2, leave_out=NO_PLAIN_IN)
        languages = _both_plain(EN.languages, DE.languages, 3, leave_out=NOT_BOTH)
        self.languages = [(en, de) for en, de in languages if de.endswith("isch")]
        self.currencies = CURRENCIES.split()

    @functools.cached_property
    def _units(self) -> dict[str, list[str]]:
        return {kind: [f"{kind}-{unit}" for unit in units] for kind, units in UNITS.items()}

    def amount(self, random: Random) -> tuple[str, str, str]:
        """Return money in both languages, and its currency."""
        code = random.choice(self.currencies)
        value = round(random.uniform(2, 2000), 2)
        en, de = (format_currency(value, code, format_type="name", locale=it) for it in (EN, DE))
        # as a title in the CLDR: "Dänische Kronen"
        de = re.sub(r"\b[A-ZÄÖÜ]\w*ische ", lambda adjective: adjective[0].lower(), _spaces(de))
        return _spaces(en), de, code

    def measure(self, random: Random, kind: str) -> tuple[str, str, str]:
        """Return a mass or a length in both languages, and its unit."""
        unit = random.choice(self._units[kind])
        value = random.choice((random.randint(2, 300), round(random.uniform(2, 1000), 1)))
        en, de = (format_unit(value, unit, "long", locale=it) for it in (EN, DE))
        return _spaces(en), _spaces(de), unit

    def weekday(self, day: int) -> Both:
        """Return the name of a weekday; 0 is Monday."""
        return EN.days["format"]["wide"][day], DE.days["format"]["wide"][day]

    def month(self, month: int) -> Both:
        """Return the name of a month; 0 is January."""
        return EN.months["format"]["wide"][month + 1], DE.months["format"]["wide"][month + 1]

    def date(self, day: datetime.date) -> Both:
        """Return a date with the name of its month."""
        return format_date(day, "long", locale=EN), format_date(day, "long", locale=DE)

    def clock(self, time: datetime.time) -> Both:
        """Return a time of the day: of twelve hours, and of twenty-four."""
        en, de = (format_time(time, "short", locale=it) for it in (EN, DE))
        return _spaces(en), _spaces(de)

    @functools.cache  # noqa: B019  # there is one of these
    def ago(self, unit: Literal["day", "week", "month", "year"], count: int) -> Both:
        """Return how long ago something was."""
        seconds = {"day": 86_400, "week": 604_800, "month": 2_629_800, "year": 31_557_600}[unit]
        since = datetime.timedelta(seconds=-seconds * count)
        en, de = (
            format_timedelta(since, unit, threshold=999, add_direction=True, locale=it)
            for it in (EN, DE)
        )
        return _spaces(en), _spaces(de)


@functools.cache
def cldr() -> Cldr:
    """Return the tables."""
    return Cldr()


def _both_plain(
    en: Mapping[str, str],
    de: Mapping[str, str],
    longest: int,
    leave_out: str = "",
) -> list[Both]:
    """Return names of one plain word in both languages, of codes of up to so many letters."""
    return [
        (en[code], de[code])
        for code in sorted(en)
        if len(code) <= longest
        and code.isalpha()
        and code not in leave_out.split()
        and code in de
        and _plain(en[code])
        and _plain(de[code])
    ]


def _plain(text: str) -> bool:
    return text.isalpha()


def _spaces(text: str) -> str:
    return " ".join(text.split())  # str.split takes no-break spaces for spaces
