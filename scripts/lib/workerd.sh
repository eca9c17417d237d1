#!/bin/sh
# The runtime, deaf to what a terminal sends to everything in it: on a Ctrl-C the supervisor lets the runtime finish what
# it has accepted, and then ends it. Ignored signals stay ignored through exec. See serve.ts.
trap '' INT HUP
exec "$WORKERD" "$@"
