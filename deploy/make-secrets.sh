#!/bin/sh
# Makes the passwords that docker-compose.yml reads: deploy/make-secrets.sh [DIRECTORY]
# The files are readable, because containers read them under their own users; the directory is not.
set -eu

directory=${1:-secrets}
if [ -e "$directory" ]; then
    echo "$directory exists already; the databases would no longer know its passwords" >&2
    exit 1
fi
umask 077
mkdir "$directory"
cd "$directory"

random() {
    head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'
}

sha256() {
    if command -v sha256sum > /dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

postgres=$(random)
redis=$(random)
digest=$(printf %s "$redis" | sha256)

printf %s "$postgres" > postgres_password
printf 'postgresql+psycopg://rankadaptor:%s@postgres:5432/rankadaptor' "$postgres" > database_url
printf 'redis://rankadaptor:%s@redis:6379/0' "$redis" > redis_url
# The rights of the user service in deploy/redis/users.acl; health can do nothing but ping.
cat > redis_acl <<ACL
user default off
user rankadaptor on #$digest ~rankadaptor:queue:* -@all +zadd +zrem +zrange +scan +ping +client|setname +client|setinfo +select +hello
user health on nopass -@all +ping
ACL
chmod 0444 postgres_password database_url redis_url redis_acl
