/*
 * A name server that has one address for every name, for benches/dns. Prints its port, and ends
 * when its standard input does.
 */
#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void
on_request(struct evdns_server_request *request, void *arg)
{
	const struct evdns_server_question *question = request->questions[0];
	ev_uint32_t address = htonl(0xc0000201);

	(void)arg;
	evdns_server_request_set_flags(request, EVDNS_FLAGS_AA);
	if (question->type == EVDNS_TYPE_A)
		evdns_server_request_add_a_reply(request, question->name, 1, &address, 300);
	if (evdns_server_request_respond(request, DNS_ERR_NONE) < 0)
		evdns_server_request_drop(request);
}

static void
on_input(evutil_socket_t fd, short what, void *arg)
{
	char byte;

	(void)what;
	if (read(fd, &byte, 1) != 1)
		event_base_loopbreak(arg);
}

int
main(void)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);
	struct event_base *base;
	struct evdns_server_port *port;
	struct event *input;
	evutil_socket_t fd = socket(AF_INET, SOCK_DGRAM, 0);

	/* As the crate does before the first base. */
	evthread_use_pthreads();
	base = event_base_new();
	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return 1;
	evutil_make_socket_nonblocking(fd);
	getsockname(fd, (struct sockaddr *)&address, &length);
	port = evdns_add_server_port_with_base(base, fd, 0, on_request, NULL);
	if (!port)
		return 1;
	input = event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, base);
	event_add(input, NULL);
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	event_base_dispatch(base);
	event_free(input);
	evdns_close_server_port(port);
	event_base_free(base);
	return 0;
}
