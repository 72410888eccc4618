"""Local times by Python's zoneinfo: python3 time_zones.py > time_zones.csv (needs tzdata).

Instants lie about changes of clocks, and anywhere from 1970 to 2024: what was law does not change.
"""

import random
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

ZONES = [
    "Europe/Berlin", "Europe/London", "Europe/Moscow", "America/New_York", "America/Sao_Paulo",
    "America/St_Johns", "Asia/Kolkata", "Asia/Shanghai", "Asia/Tehran", "Africa/Cairo",
    "Australia/Lord_Howe", "Pacific/Apia", "UTC",
]

draw = random.Random(20261130)
print("zone,instant,hour,weekday,day,month")
for name in ZONES:
    zone = ZoneInfo(name)
    offset = lambda t: datetime.fromtimestamp(t, timezone.utc).astimezone(zone).utcoffset()
    instants = [draw.randrange(1_735_000_000) for _ in range(12)]
    # The changes of some years, to the second, by halving the days that have one.
    for _ in range(6):
        low = draw.randrange(1_700_000_000)
        high = low + 200 * 86_400
        if offset(low) != offset(high):
            before = offset(low)
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == before else (low, middle)
            instants += [low, high]
    for t in sorted(instants):
        local = datetime.fromtimestamp(t, zone)
        print(f"{name},{t},{local.hour},{local.weekday()},{local.day},{local.month}")
