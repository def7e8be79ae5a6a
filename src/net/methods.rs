//! The methods of every connected stream, over its `Connection`.

/// For a type `$name(Connection)`, whose sibling in std is `$std`, and whose reads take all that there
/// is, or not.
macro_rules! stream {
    ($name:ident, $std:ty, takes_all: $takes_all:literal) => {
        impl $name {
            /// Takes over a connected socket, which is made non-blocking.
            ///
            /// # Errors
            /// [`Error::Os`](crate::Error::Os) when it cannot be, or cannot be watched;
            /// [`Error::Closed`](crate::Error::Closed) when the base is gone.
            pub fn from_std(base: &$crate::LoopHandle, stream: $std) -> $crate::Result<Self> {
                let failed = $crate::net::failed("a socket for futures");
                stream.set_nonblocking(true).map_err(failed)?;
                Self::from_socket(base, stream.into())
            }

            /// `socket` is connected and non-blocking.
            pub(super) fn from_socket(
                base: &$crate::LoopHandle,
                socket: socket2::Socket,
            ) -> $crate::Result<Self> {
                $crate::net::connection::Connection::new(base, socket, $takes_all).map(Self)
            }

            /// Takes the socket off the loop. It stays non-blocking.
            ///
            /// # Panics
            /// As [`AsyncFd::into_inner`](crate::net::AsyncFd::into_inner).
            pub fn into_std(self) -> $std {
                self.0.into_socket().into()
            }

            /// The loop that it lives on.
            pub fn handle(&self) -> &$crate::LoopHandle {
                self.0.fd().handle()
            }

            /// Reads what there is, up to the length of `buf`, and waits for something if there is
            /// nothing. 0 is the end: the peer writes no more.
            ///
            /// # Errors
            /// The system's, after the bytes that came before it were read;
            /// [`NotConnected`](std::io::ErrorKind::NotConnected) when the base is gone.
            pub async fn read(&self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.0.read(buf).await
            }

            /// Fills `buf`. If it is dropped before it is done, how much it has read is not known.
            ///
            /// # Errors
            /// As [`read`](Self::read), and [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof).
            pub async fn read_exact(&self, buf: &mut [u8]) -> std::io::Result<()> {
                self.0.read_exact(buf).await
            }

            /// Appends all that comes until the peer writes no more, and says how much that was.
            /// What it had read when it failed or was dropped is in `to`.
            ///
            /// # Errors
            /// As [`read`](Self::read).
            pub async fn read_to_end(&self, to: &mut Vec<u8>) -> std::io::Result<usize> {
                self.0.read_to_end(to).await
            }

            /// Reads and leaves the bytes where they are.
            ///
            /// # Errors
            /// As [`read`](Self::read).
            pub async fn peek(&self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.0.peek(buf).await
            }

            /// Writes as much of `buf` as there is room for, and waits for room if there is none.
            ///
            /// # Errors
            /// The system's: [`BrokenPipe`](std::io::ErrorKind::BrokenPipe) and
            /// [`ConnectionReset`](std::io::ErrorKind::ConnectionReset) when the peer has gone,
            /// never a signal. [`NotConnected`](std::io::ErrorKind::NotConnected) when the base is
            /// gone.
            pub async fn write(&self, buf: &[u8]) -> std::io::Result<usize> {
                self.0.write(buf).await
            }

            /// Writes all of `buf`. If it is dropped before it is done, how much it has written is
            /// not known.
            ///
            /// # Errors
            /// As [`write`](Self::write).
            pub async fn write_all(&self, buf: &[u8]) -> std::io::Result<()> {
                self.0.write_all(buf).await
            }

            /// As [`write`](Self::write), from several buffers.
            ///
            /// # Errors
            /// As [`write`](Self::write).
            pub async fn write_vectored(
                &self,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                self.0.write_vectored(bufs).await
            }

            /// As [`read`](Self::read), without waiting.
            ///
            /// # Errors
            /// As there, and [`WouldBlock`](std::io::ErrorKind::WouldBlock).
            pub fn try_read(&self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.0.try_read(buf)
            }

            /// As [`write`](Self::write), without waiting.
            ///
            /// # Errors
            /// As there, and [`WouldBlock`](std::io::ErrorKind::WouldBlock).
            pub fn try_write(&self, buf: &[u8]) -> std::io::Result<usize> {
                self.0.try_write(buf)
            }

            /// Waits until there is something to read, or the peer has closed. A later
            /// [`try_read`](Self::try_read) may still have to wait.
            ///
            /// # Errors
            /// [`NotConnected`](std::io::ErrorKind::NotConnected) when the base is gone.
            pub async fn readable(&self) -> std::io::Result<()> {
                self.0.fd().readable().await
            }

            /// Waits until there is room to write, or the connection has failed.
            ///
            /// # Errors
            /// [`NotConnected`](std::io::ErrorKind::NotConnected) when the base is gone.
            pub async fn writable(&self) -> std::io::Result<()> {
                self.0.fd().writable().await
            }

            /// Ends one direction of the connection, or both. With
            /// [`Write`](std::net::Shutdown::Write) the peer reads what was written and then the
            /// end.
            ///
            /// # Errors
            /// [`NotConnected`](std::io::ErrorKind::NotConnected) when the peer has gone.
            pub fn shutdown(&self, how: std::net::Shutdown) -> std::io::Result<()> {
                self.0.shutdown(how)
            }

            /// Its two directions as two values, for as long as it is borrowed. Not needed to use
            /// both at the same time, which its own methods allow; it is for what takes a value.
            pub fn split(
                &self,
            ) -> (
                $crate::net::ReadHalf<'_, Self>,
                $crate::net::WriteHalf<'_, Self>,
            ) {
                $crate::net::split::split(self)
            }

            /// Its two directions as two values, for two tasks. Dropping the writing one tells the
            /// peer that nothing more is written.
            pub fn into_split(
                self,
            ) -> (
                $crate::net::OwnedReadHalf<Self>,
                $crate::net::OwnedWriteHalf<Self>,
            ) {
                $crate::net::split::into_split(self)
            }

            /// The error of the system that waits to be reported, which is cleared.
            ///
            /// # Errors
            /// When the system cannot tell.
            pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
                self.0.socket().take_error()
            }
        }

        impl $crate::net::PollIo for $name {
            #[inline]
            fn poll_read(
                &self,
                cx: &mut std::task::Context<'_>,
                buf: &mut [std::mem::MaybeUninit<u8>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.0.poll_read(cx, buf)
            }

            #[inline]
            fn poll_write(
                &self,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.0.poll_write(cx, buf)
            }

            #[inline]
            fn poll_write_vectored(
                &self,
                cx: &mut std::task::Context<'_>,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.0.poll_write_vectored(cx, bufs)
            }

            #[inline]
            fn poll_flush(
                &self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.0.poll_flush(cx)
            }

            fn poll_close(
                &self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.0.poll_close(cx)
            }
        }

        impl std::os::fd::AsFd for $name {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.0.fd().as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $name {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.0.fd().as_raw_fd()
            }
        }
    };
}

pub(super) use stream;
