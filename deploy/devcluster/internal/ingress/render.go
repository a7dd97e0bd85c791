package ingress

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// DefaultCertificate is the file of the self-signed certificate for hosts whose secret is missing.
const DefaultCertificate = "default.pem"

// head is the fixed part. Client connections are not kept alive: a reload
// closes idle ones, and a request sent at that moment would be lost. Connections
// to pods are not either, for the same reason at the other end.
const head = `user www-data;
worker_processes 2;
daemon off;
pid %[1]s/nginx.pid;
error_log stderr warn;
events { worker_connections 8192; }
http {
  access_log off;
  server_tokens off;
  merge_slashes off;
  keepalive_timeout 0;
  server_names_hash_bucket_size 256;
  server_names_hash_max_size 4096;
  large_client_header_buffers 4 32k;
  reset_timedout_connection on;
  client_body_temp_path /var/lib/nginx/body;
  proxy_temp_path /var/lib/nginx/proxy;
  fastcgi_temp_path /var/lib/nginx/fastcgi;
  uwsgi_temp_path /var/lib/nginx/uwsgi;
  scgi_temp_path /var/lib/nginx/scgi;
  map $http_upgrade $connection_upgrade { default upgrade; '' close; }
  map $http_x_request_id $req_id { default $http_x_request_id; '' $request_id; }
  proxy_http_version 1.1;
  proxy_set_header Host $http_host;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_upgrade;
  proxy_set_header X-Request-ID $req_id;
  proxy_set_header X-Real-IP $remote_addr;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Host $http_host;
  proxy_set_header X-Forwarded-Port $server_port;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_redirect off;
`

func (g *generator) render(p Place) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, head, p.Dir)
	for _, name := range slices.Sorted(maps.Keys(g.upstreams)) {
		fmt.Fprintf(&b, "  upstream %s {\n", name)
		for _, address := range g.upstreams[name] {
			fmt.Fprintf(&b, "    server %s max_fails=0;\n", address)
		}
		b.WriteString("  }\n")
	}
	for _, host := range slices.Sorted(maps.Keys(g.servers)) {
		renderServer(&b, g.servers[host], p)
	}
	b.WriteString("}\n")
	return b.Bytes()
}

func renderServer(b *bytes.Buffer, s *server, p Place) {
	option := ""
	if s.host == "" {
		option = " default_server"
	}
	fmt.Fprintf(b, "  server {\n    listen %[1]s:80%[2]s;\n    listen %[1]s:443 ssl%[2]s;\n    server_name %[3]s;\n", p.Address, option, serverName(s.host))
	certificate := s.tls
	if certificate == "" {
		certificate = DefaultCertificate
	}
	fmt.Fprintf(b, "    ssl_certificate %[1]s/%[2]s;\n    ssl_certificate_key %[1]s/%[2]s;\n", p.Dir, certificate)
	for _, key := range slices.Sorted(maps.Keys(s.locations)) {
		renderLocation(b, s.locations[key])
	}
	if _, ok := s.locations["/"]; !ok {
		b.WriteString("    location / { return 404; }\n")
	}
	b.WriteString("  }\n")
}

func renderLocation(b *bytes.Buffer, l location) {
	sign := ""
	if l.exact {
		sign = "= "
	}
	fmt.Fprintf(b, "    location %s\"%s\" {\n", sign, l.path)
	if l.redirect {
		b.WriteString("      if ($scheme = http) { return 308 https://$host$request_uri; }\n")
	}
	if l.upstream == "" {
		b.WriteString("      return 503;\n    }\n")
		return
	}
	c := l.settings
	fmt.Fprintf(b, "      client_max_body_size %s;\n      proxy_connect_timeout %s;\n      proxy_read_timeout %s;\n      proxy_send_timeout %s;\n",
		c.bodySize, c.connectTimeout, c.readTimeout, c.sendTimeout)
	fmt.Fprintf(b, "      proxy_buffering %s;\n      proxy_request_buffering %s;\n      proxy_pass %s://%s;\n    }\n",
		c.buffering, c.requestBuffering, c.scheme, l.upstream)
}

// serverName is nginx's form of a host: a wildcard stands for exactly one label.
func serverName(host string) string {
	if host == "" {
		return "_"
	}
	if rest, ok := strings.CutPrefix(host, "*."); ok {
		return `"~^[^.]+\.` + regexp.QuoteMeta(rest) + `$"`
	}
	return host
}
