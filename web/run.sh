#!/usr/bin/env bash
# Builds the page and serves it, by default at port 8000: `web/run.sh [PORT]`.
set -euo pipefail
cd "$(dirname "$0")"
./build.sh page
echo "http://127.0.0.1:${1:-8000}"
exec node --input-type=module -e "
import { serve } from '$PWD/drive.mjs';
await serve('$PWD/dist/page', ${1:-8000});
"
