#!/bin/sh
# Packs the program ./pause as an image: pause-image.sh NAME FILE
set -eu
name=$1 file=$2
hash() { sha256sum "$1" | cut -d ' ' -f 1; }

tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf layer.tar pause
cat > config.json <<END
{"architecture":"$(dpkg --print-architecture)","os":"linux","config":{"User":"65535:65535","Entrypoint":["/pause"]},
 "rootfs":{"type":"layers","diff_ids":["sha256:$(hash layer.tar)"]}}
END
cat > manifest.json <<END
[{"Config":"config.json","RepoTags":["$name"],"Layers":["layer.tar"]}]
END
mkdir -p "$(dirname "$file")"
tar -cf "$file" manifest.json config.json layer.tar
