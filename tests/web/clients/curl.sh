set -eu
curl --silent --data-binary "@$2" -H 'Content-Type: image/png' "$1/denoise" | base64 | tr -d '\n'
echo
curl --silent -F "file=@$2" -H 'Accept: application/json' "$1/denoise"
echo
curl --silent --data-binary 'no picture' -H 'Content-Type: image/png' "$1/denoise"
