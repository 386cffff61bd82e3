"""Trackio, local only."""
import sys

import trackio
from rows import measure

trackio.init(project="speed", name=sys.argv[1], embed=False)
measure(trackio.log, trackio.finish)
