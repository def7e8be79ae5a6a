/*
 * A server with C's evhttp and its defaults, for benches/http. Prints its port; answers each byte on
 * the standard input with the bytes that the allocator has given out, and ends with it.
 *
 * GET /hello    a text of five bytes
 * GET /mib      1 MiB, by reference
 * GET /file     the file that is the argument
 * POST /upload  the number of bytes that came
 */
#define _GNU_SOURCE
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *file;
static char mib[1 << 20];

static void
reply(struct evhttp_request *request, struct evbuffer *body)
{
	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "text/plain");
	evhttp_send_reply(request, HTTP_OK, "OK", body);
	evbuffer_free(body);
}

static void
on_hello(struct evhttp_request *request, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add(body, "hello", 5);
	reply(request, body);
}

static void
on_mib(struct evhttp_request *request, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add_reference(body, mib, sizeof(mib), NULL, NULL);
	reply(request, body);
}

static void
on_file(struct evhttp_request *request, void *arg)
{
	struct evbuffer *body = evbuffer_new();
	struct stat status;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	(void)arg;
	if (fd < 0 || fstat(fd, &status) < 0 || evbuffer_add_file(body, fd, 0, status.st_size) < 0) {
		evbuffer_free(body);
		evhttp_send_error(request, HTTP_NOTFOUND, NULL);
		return;
	}
	reply(request, body);
}

static void
on_upload(struct evhttp_request *request, void *arg)
{
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add_printf(body, "%zu", evbuffer_get_length(evhttp_request_get_input_buffer(request)));
	reply(request, body);
}

static void
on_question(evutil_socket_t fd, short what, void *arg)
{
	struct mallinfo2 info;
	char question;

	(void)what;
	if (read(fd, &question, 1) != 1) {
		event_base_loopbreak(arg);
		return;
	}
	info = mallinfo2();
	printf("%zu\n", info.uordblks + info.hblkhd);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);
	struct event_base *base;
	struct evhttp *http;
	struct evhttp_bound_socket *bound;
	struct event *question;

	file = argc > 1 ? argv[1] : "";
	memset(mib, 'x', sizeof(mib));
	signal(SIGPIPE, SIG_IGN);
	/* As the crate does before the first base. */
	evthread_use_pthreads();
	base = event_base_new();
	http = evhttp_new(base);
	bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	if (!bound)
		return 1;
	evhttp_set_cb(http, "/hello", on_hello, NULL);
	evhttp_set_cb(http, "/mib", on_mib, NULL);
	evhttp_set_cb(http, "/file", on_file, NULL);
	evhttp_set_cb(http, "/upload", on_upload, NULL);
	question = event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, on_question, base);
	event_add(question, NULL);
	getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length);
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	event_base_dispatch(base);
	event_free(question);
	evhttp_free(http);
	event_base_free(base);
	return 0;
}
