#!/bin/sh
# A pipe process in a few lines of shell: it greets a text and gives anything
# else back. JSON stays JSON: nothing is decoded on the way.
set -u
fifo=${ALGOOUT:-/tmp/algoout}
echo PIPE_INIT_COMPLETE
while IFS= read -r line; do
  data=${line#*\"data\":}
  data=${data%\}}
  case $line in
  '{"content_type":"text",'*)
    echo "greeting ${#data} characters"
    printf '{"result":"Hello %s,"metadata":{"content_type":"text"}}\n' "${data#\"}" >"$fifo"
    ;;
  '{"content_type":"json","data":{"exit":'*)
    code=${data#*:}
    exit "${code%\}}"
    ;;
  '{"content_type":"json",'*) printf '{"result":%s,"content_type":"json"}\n' "$data" >"$fifo" ;; # the older, flat form
  *) printf '{"error":{"message":"this algorithm takes text and JSON","error_type":"InputError"}}\n' >"$fifo" ;;
  esac
done
