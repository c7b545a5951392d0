package nginx

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// verdict is what is said of directives that nothing else in this package has looked at.
type verdict struct {
	names string // separated by spaces
	state State
	note  string
}

// verdicts says something of every directive that is still without a word.
func (im *importer) verdicts(root *directive) {
	table := map[string]verdict{}
	for _, v := range standing {
		for name := range strings.FieldsSeq(v.names) {
			table[name] = v
		}
	}
	var walk func(d *directive)
	walk = func(d *directive) {
		for _, c := range d.block {
			if c.state == 0 && !c.entry {
				judge(c, table)
			}
			if slices.ContainsFunc(c.args, func(a string) bool { return !utf8.ValidString(a) }) {
				c.lost("it is no UTF-8, as the text of a configuration of Weir's has to be")
			}
			walk(c)
		}
	}
	walk(root)
}

func judge(d *directive, table map[string]verdict) {
	if d.name == "location" && d.state == 0 {
		d.lost("nothing that is translated leads to it")
		d.lostBelow("its location is not translated")
		return
	}
	if d.name == "if" {
		d.lost("Weir decides by host and path, not by conditions: what is in it does not happen, and what it refused is let through")
		d.lostBelow("its condition is not translated")
		return
	}
	if d.name == "map" && d.arg(1) == "$connection_upgrade" {
		d.note("needless: Weir hands an upgrade on by itself")
		return
	}
	v, ok := table[d.name]
	switch {
	case !ok && strings.Contains(d.name, "_by_lua"):
		d.lost("Weir runs no Lua")
	case !ok:
		d.lost("unknown to Weir")
	case v.state == NotTranslated && d.arg(0) == "off" && !strings.HasPrefix(d.name, "proxy_pass_request"):
		exact(d)
	default:
		d.mark(v.state, v.note)
	}
	if d.state == NotTranslated && d.opens {
		d.lostBelow("its block is not translated")
	}
}

// unused is said of what has been translated where it had an effect.
const unused = "no translated location or server uses it"

// standing is the table. It is an array because its contents never change.
var standing = [...]verdict{
	{"http events", Translated, ""},
	{"user worker_processes worker_cpu_affinity worker_priority worker_rlimit_nofile worker_rlimit_core worker_shutdown_timeout worker_aio_requests pid daemon master_process " +
		"lock_file accept_mutex accept_mutex_delay worker_connections multi_accept use pcre_jit thread_pool timer_resolution debug_points debug_connection ssl_engine working_directory env",
		Noted, "needless: Weir is one process; user, limits and environment are the service manager's (systemd)"},
	{"load_module", Noted, "needless: Weir has no modules; what one was for is named where it is used"},
	{"sendfile sendfile_max_chunk tcp_nopush tcp_nodelay aio aio_write directio directio_alignment output_buffers postpone_output read_ahead open_file_cache open_file_cache_valid " +
		"open_file_cache_min_uses open_file_cache_errors open_log_file_cache reset_timedout_connection disable_symlinks", Noted, "needless: Weir sends files and packets as fast as it can by itself"},
	{"server_names_hash_max_size server_names_hash_bucket_size variables_hash_max_size variables_hash_bucket_size types_hash_max_size types_hash_bucket_size map_hash_max_size map_hash_bucket_size " +
		"proxy_headers_hash_max_size proxy_headers_hash_bucket_size connection_pool_size request_pool_size limit_req_log_level limit_conn_log_level", Noted, "needless: Weir sizes its tables itself"},
	{"types default_type charset charset_types override_charset", Noted, "Weir knows the types of files by itself, with charset=utf-8 for text; answers of services keep theirs"},
	{"server_tokens more_clear_headers", Noted, "needless: Weir names neither itself nor its version"},
	{"keepalive_requests keepalive_time lingering_close lingering_time lingering_timeout keepalive_disable chunked_transfer_encoding", Noted, "Weir decides by itself how connections live and end"},
	{"client_body_buffer_size client_body_temp_path client_body_in_file_only client_body_in_single_buffer client_header_buffer_size proxy_buffering proxy_buffers proxy_buffer_size proxy_busy_buffers_size " +
		"proxy_request_buffering proxy_max_temp_file_size proxy_temp_path proxy_temp_file_write_size proxy_limit_rate grpc_buffer_size", Noted, "Weir streams bodies in both directions and puts nothing on disk"},
	{"http2_max_concurrent_streams http2_recv_buffer_size http2_body_preread_size http2_chunk_size http2_idle_timeout http2_max_field_size http2_max_header_size http2_max_requests http2_recv_timeout " +
		"http2_push http2_push_preload quic_retry quic_gso ssl_buffer_size", Noted, "Weir sets HTTP/2 and QUIC up by itself"},
	{"ssl_ciphers ssl_prefer_server_ciphers ssl_ecdh_curve ssl_dhparam ssl_conf_command ssl_session_cache ssl_session_timeout ssl_session_tickets ssl_session_ticket_key", Noted,
		"Weir takes Go's suites and curves, forward secret ones alone, and keeps session tickets by itself"},
	{"ssl_stapling ssl_stapling_verify ssl_stapling_file ssl_stapling_responder ssl_trusted_certificate ssl_ocsp", Noted, "Weir staples nothing and asks no OCSP responder"},
	{"ssl_verify_depth", Noted, "a chain of any length is verified whole"},
	{"log_format", Noted, "[log] access is combined or json, which has every field"},
	{"ssl_early_data", Noted, "early_data of a listener, for HTTP/3 alone, safe methods alone"},
	{"resolver resolver_timeout", Noted, "names are resolved by the system's resolver, as their TTLs run out"},
	{"gzip_vary gzip_proxied gzip_comp_level gzip_buffers gzip_disable gzip_http_version brotli_comp_level brotli_buffers brotli_window zstd_comp_level zstd_buffers", Noted,
		"Weir compresses for every client that takes it, but for HTTP/1.0, at a level of its own, and always says Vary"},
	{"gzip_static brotli_static zstd_static", Noted, "siblings .gz, .br and .zst beside a file are sent by themselves"},
	{"etag if_modified_since max_ranges log_not_found log_subrequest recursive_error_pages proxy_http_version proxy_socket_keepalive grpc_socket_keepalive proxy_ssl_session_reuse absolute_redirect " +
		"port_in_redirect server_name_in_redirect merge_slashes ignore_invalid_headers underscores_in_headers proxy_pass_header proxy_headers_hash client_body_in_file",
		Noted, "Weir has its own way (docs/import.md)"},
	{"proxy_redirect", Noted, "Weir hands Location on as the service wrote it: it is sent the client's Host, so that it can write a good one"},
	{"root index try_files add_header expires client_max_body_size proxy_connect_timeout proxy_read_timeout proxy_set_header proxy_next_upstream proxy_next_upstream_tries proxy_hide_header " +
		"allow deny auth_basic auth_basic_user_file auth_request auth_request_set limit_req limit_req_zone limit_req_status limit_req_dry_run limit_conn limit_conn_zone limit_conn_status limit_conn_dry_run " +
		"satisfy upstream split_clients large_client_header_buffers client_header_timeout client_body_timeout send_timeout keepalive_timeout ssl_certificate ssl_certificate_key ssl_protocols " +
		"ssl_client_certificate ssl_crl ssl_verify_client proxy_ssl_verify proxy_ssl_trusted_certificate proxy_ssl_name proxy_ssl_server_name proxy_ssl_certificate proxy_ssl_certificate_key " +
		"proxy_next_upstream_timeout grpc_connect_timeout grpc_read_timeout grpc_set_header grpc_hide_header grpc_next_upstream autoindex set real_ip_header http2 http3 alias internal " +
		"gzip gzip_types gzip_min_length brotli brotli_types brotli_min_length zstd zstd_types zstd_min_length server_name listen ssl server proxy_pass grpc_pass keepalive least_conn ip_hash hash random zone", Noted, unused},
	{"proxy_send_timeout grpc_send_timeout", NotTranslated, "a request's body is bounded by body_timeout and min_body_rate of the listener"},
	{"gunzip gunzip_buffers", NotTranslated, "Weir undoes no coding"},
	{"proxy_cache proxy_cache_path proxy_cache_key proxy_cache_valid proxy_cache_bypass proxy_no_cache proxy_cache_use_stale proxy_cache_lock proxy_cache_lock_timeout proxy_cache_lock_age proxy_cache_methods " +
		"proxy_cache_min_uses proxy_cache_revalidate proxy_cache_background_update proxy_cache_convert_head proxy_cache_max_range_offset proxy_store proxy_store_access proxy_ignore_headers proxy_cache_purge slice " +
		"fastcgi_cache fastcgi_cache_path fastcgi_cache_key fastcgi_cache_valid", NotTranslated, "Weir caches nothing yet (route.cache is not built)"},
	{"error_page proxy_intercept_errors", NotTranslated, "Weir's errors are its own (problem+json), the service's are the service's"},
	{"rewrite rewrite_log return break last set_by_lua", NotTranslated, "Weir rewrites no paths, and redirects to https alone"},
	{"map geo geoip_country geoip_city geoip2 perl_set js_set js_import", NotTranslated, "Weir has no variables"},
	{"sub_filter sub_filter_once sub_filter_types sub_filter_last_modified addition_types add_before_body add_after_body ssi ssi_types image_filter xslt_stylesheet add_trailer proxy_cookie_path " +
		"proxy_cookie_domain proxy_cookie_flags more_set_headers", NotTranslated, "Weir changes nothing in what a service answers but the fields of [headers.NAME]"},
	{"limit_rate limit_rate_after limit_except proxy_method proxy_set_body proxy_pass_request_headers proxy_pass_request_body proxy_ignore_client_abort proxy_ssl_protocols proxy_ssl_ciphers proxy_ssl_crl " +
		"proxy_force_ranges proxy_bind random_index autoindex_exact_size autoindex_localtime autoindex_format secure_link secure_link_md5 valid_referers userid auth_jwt auth_delay health_check " +
		"ssl_reject_handshake ssl_password_file stub_status dav_methods dav_access create_full_put_path uninitialized_variable_warn referer_hash_max_size msie_padding", NotTranslated, "Weir has nothing like it"},
	{"modsecurity modsecurity_rules modsecurity_rules_file modsecurity_rules_remote", NotTranslated, "[waf.NAME] has ModSecurity's language, and a route names it in waf"},
	{"mirror mirror_request_body", NotTranslated, "shadow of a service asks a second group and compares the answers"},
	{"stream mail rtmp", NotTranslated, "Weir speaks HTTP and nothing else"},
	{"fastcgi_pass fastcgi_param fastcgi_index fastcgi_split_path_info fastcgi_read_timeout fastcgi_buffers fastcgi_buffer_size uwsgi_pass uwsgi_param scgi_pass scgi_param memcached_pass",
		NotTranslated, "Weir speaks HTTP to services and nothing else"},
}
