#!/bin/sh
# A CNI plugin that writes down how it was called, then does what the script NAME.COMMAND beside it says. It is called
# by whatever name it is installed under. Builtins only, so that it starts in a millisecond.
plugin=${0##*/}
here=${0%/*}
call=$here/calls/$$
request=
[ -n "$SCRIPTED_SKIP_STDIN" ] || IFS= read -r request
printf '%s' "$request" >"$call.stdin"
export -p >"$call.env"
echo "$$ $plugin $CNI_COMMAND" >>"$here/calls/log"
if [ -f "$here/$plugin.$CNI_COMMAND" ]; then
  . "$here/$plugin.$CNI_COMMAND"
  exit
fi
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]}' ;;
ADD) echo '{"ips":[{"address":"10.9.0.2/24"}]}' ;;
esac
