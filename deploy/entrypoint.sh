#!/bin/sh
# Runs rankadaptor. Addresses that contain passwords may come as files:
# RANKADAPTOR_DATABASE_URL_FILE and RANKADAPTOR_REDIS_URL_FILE name them.
set -eu

if [ -n "${RANKADAPTOR_DATABASE_URL_FILE:-}" ]; then
    RANKADAPTOR_DATABASE_URL=$(cat "$RANKADAPTOR_DATABASE_URL_FILE")
    export RANKADAPTOR_DATABASE_URL
fi
if [ -n "${RANKADAPTOR_REDIS_URL_FILE:-}" ]; then
    RANKADAPTOR_REDIS_URL=$(cat "$RANKADAPTOR_REDIS_URL_FILE")
    export RANKADAPTOR_REDIS_URL
fi
unset RANKADAPTOR_DATABASE_URL_FILE RANKADAPTOR_REDIS_URL_FILE

exec rankadaptor "$@"
