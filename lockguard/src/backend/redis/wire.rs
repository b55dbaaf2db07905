//! A connection as commands that go out and replies that come in.

use std::{
    future::poll_fn,
    io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use redis::{Pipeline, PushKind, RedisError, RedisResult, Value, ValueCodec};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::{codec::Decoder, io::poll_read_buf};

use super::packed::Packed;

/// What bytes go over: a TCP connection, TLS on one, or a unix socket.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection as commands that go out and replies that come in.
///
/// Commands are packed by us (`packed.rs`), and so are the two shortest replies
/// read; the redis crate reads the others.
/// When what is written, and who reads, is decided by whoever owns the wire.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    /// Written by us, and handed to the stream up to `handed`.
    outgoing: Vec<u8>,
    handed: usize,
    is_flushed: bool,
    incoming: BytesMut,
    replies: ValueCodec,
    /// Whether the codec keeps the beginning of a reply.
    has_begun: bool,
    /// How many bytes have come of a reply that is not whole yet.
    unfinished: usize,
}

/// Room for what is read at once: some hundred replies.
const ROOM: usize = 8 << 10;

/// More than any reply to any of our commands: whoever sends more, or twice as
/// much at one go, is no server, or means harm.
const LONGEST_REPLY: usize = 1 << 20;

/// What is kept of the room for commands from one to the next.
const ROOM_KEPT: usize = 32 << 10;

impl Wire {
    pub(super) fn new(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            outgoing: Vec::new(),
            handed: 0,
            is_flushed: true,
            incoming: BytesMut::new(),
            replies: ValueCodec::default(),
            has_begun: false,
            unfinished: 0,
        }
    }

    /// Puts a command behind those before it; flushing sends them.
    pub(super) fn write(&mut self, command: &Packed) {
        command.append_to(&mut self.outgoing);
    }

    /// Sends as much as the stream takes now, and the rest when it is flushed
    /// again, for which the task is woken.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) -> RedisResult<()> {
        match self.poll_flush(cx) {
            Poll::Ready(Err(error)) => Err(error.into()),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.outgoing.get(self.handed..)
            && !rest.is_empty()
        {
            let handed = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if handed == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.handed += handed;
            self.is_flushed = false;
        }
        self.outgoing.clear();
        self.outgoing.shrink_to(ROOM_KEPT);
        self.handed = 0;
        if !self.is_flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// The next reply, or what the server has sent unasked; an error is the end
    /// of the connection.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<RedisResult<Value>> {
        loop {
            if let Some(value) = self.decode()? {
                self.unfinished = 0;
                return Poll::Ready(Ok(value));
            }
            if self.unfinished > LONGEST_REPLY {
                let error = io::Error::other("a reply that is longer than any of a Redis server");
                return Poll::Ready(Err(error.into()));
            }
            self.incoming.reserve(ROOM);
            let stream = Pin::new(&mut self.stream);
            let came = ready!(poll_read_buf(stream, cx, &mut self.incoming))?;
            if came == 0 {
                let end = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Poll::Ready(Err(end.into()));
            }
            self.unfinished += came;
        }
    }

    /// The next reply, if all of it has come.
    fn decode(&mut self) -> RedisResult<Option<Value>> {
        if self.incoming.is_empty() {
            return Ok(None);
        }
        if !self.has_begun
            && let Some((length, value)) = short_reply(&self.incoming)
        {
            self.incoming.advance(length);
            return Ok(Some(value));
        }
        let value = self.replies.decode(&mut self.incoming)?;
        self.has_begun = value.is_none();
        Ok(value)
    }

    /// Asks all these, and waits for the reply to each; what is sent unasked
    /// meanwhile is lost.
    pub(super) async fn ask(&mut self, questions: &Pipeline) -> Result<Vec<Value>, RedisError> {
        for question in questions.cmd_iter() {
            question.write_packed_command(&mut self.outgoing);
        }
        let mut replies = Vec::with_capacity(questions.len());
        poll_fn(|cx| {
            self.flush(cx)?;
            while replies.len() < questions.len() {
                match (ready!(self.poll_next(cx)), replies.as_slice()) {
                    (Ok(reply), _) if is_unasked(&reply) => {}
                    (Ok(reply), _) => replies.push(reply),
                    // It said why, and nothing else, and closed the connection.
                    (Err(_), [Value::ServerError(reason)]) => {
                        return Poll::Ready(Err(reason.clone().into()));
                    }
                    (Err(error), _) => return Poll::Ready(Err(error)),
                }
            }
            Poll::Ready(Ok(mem::take(&mut replies)))
        })
        .await
    }
}

/// What nearly every command is answered by, and how long it is: to read it costs
/// a twentieth of what it costs the codec.
fn short_reply(bytes: &[u8]) -> Option<(usize, Value)> {
    match bytes {
        [b'+', b'O', b'K', b'\r', b'\n', ..] => Some((5, Value::Okay)),
        [b':', digit @ b'0'..=b'9', b'\r', b'\n', ..] => {
            Some((4, Value::Int(i64::from(digit - b'0'))))
        }
        _ => None,
    }
}

/// Whether this is no reply to any command.
fn is_unasked(reply: &Value) -> bool {
    matches!(reply, Value::Push { kind, .. } if *kind != PushKind::Subscribe)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use tokio::io::{AsyncReadExt, AsyncWriteExt as _, BufStream, duplex, join, sink};

    use super::*;

    /// What comes of two questions where the server sends this, part by part,
    /// and closes the connection.
    async fn heard(parts: &[&str]) -> Result<Vec<Value>, RedisError> {
        // Less room than a command needs.
        let (ours, theirs) = duplex(8);
        let (mut asked, mut said) = tokio::io::split(theirs);
        let mut questions = Pipeline::new();
        questions.cmd("GET").arg("k").cmd("PING");
        let saying = async {
            let mut questions = vec![0; questions.get_packed_pipeline().len()];
            asked.read_exact(&mut questions).await.unwrap();
            for part in parts {
                said.write_all(part.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
            said.shutdown().await.unwrap();
        };
        let mut wire = Wire::new(ours);
        let ((), replies) = tokio::join!(saying, wire.ask(&questions));
        replies
    }

    #[tokio::test]
    async fn what_a_stream_holds_back_is_flushed() {
        let (ours, mut theirs) = duplex(1 << 10);
        let mut wire = Wire::new(BufStream::new(ours));
        let mut command = Packed::default();
        command.arg("PING");
        wire.write(&command);
        poll_fn(|cx| Poll::Ready(wire.flush(cx))).await.unwrap();
        drop(wire);
        let mut sent = Vec::new();
        theirs.read_to_end(&mut sent).await.unwrap();
        assert_eq!(sent, b"*1\r\n$4\r\nPING\r\n");
    }

    #[tokio::test]
    async fn a_stream_that_takes_nothing_more_is_an_error() {
        let full: Box<[u8]> = Box::new([0; 3]);
        let mut wire = Wire::new(Cursor::new(full));
        let mut command = Packed::default();
        command.arg("PING");
        wire.write(&command);
        let flushed = poll_fn(|cx| Poll::Ready(wire.flush(cx))).await;
        assert!(flushed.is_err());
    }

    #[tokio::test]
    async fn replies_are_whole_in_whatever_parts_they_come() {
        let replies = heard(&["$3\r\na", "bc\r", "\n+PO", "NG\r\n"])
            .await
            .unwrap();
        let expected = [
            Value::BulkString(b"abc".to_vec()),
            Value::SimpleString("PONG".to_owned()),
        ];
        assert_eq!(replies, expected);
    }

    #[tokio::test]
    async fn short_replies_and_others_are_told_apart_wherever_they_are_cut() {
        let sent = "+OK\r\n:1\r\n$4\r\n:1\r\n\r\n:0\r\n:12\r\n:-1\r\n+OKAY\r\n_\r\n+OK\r\n";
        let text = |text: &str| Value::SimpleString(text.to_owned());
        let expected = [
            Value::Okay,
            Value::Int(1),
            Value::BulkString(b":1\r\n".to_vec()),
            Value::Int(0),
            Value::Int(12),
            Value::Int(-1),
            text("OKAY"),
            Value::Nil,
            Value::Okay,
        ];
        for cut in 0..=sent.len() {
            let (first, rest) = sent.as_bytes().split_at(cut);
            let mut wire = Wire::new(join(AsyncReadExt::chain(first, rest), sink()));
            for expected in &expected {
                let reply = poll_fn(|cx| wire.poll_next(cx)).await.unwrap();
                assert_eq!(reply, *expected, "cut at {cut}");
            }
        }
    }

    /// Counted as one, it would put every reply behind it to the question after
    /// its own.
    #[tokio::test]
    async fn a_message_between_two_replies_is_none() {
        let message = ">3\r\n+message\r\n+channel\r\n+text\r\n";
        let replies = heard(&[message, ":1\r\n", message, ":2\r\n"])
            .await
            .unwrap();
        assert_eq!(replies, [Value::Int(1), Value::Int(2)]);
    }

    #[tokio::test]
    async fn an_end_within_a_reply_is_an_error() {
        let error = heard(&[":1\r\n$3\r\na"]).await.unwrap_err();
        assert!(error.is_connection_dropped(), "{error}");
    }

    #[tokio::test]
    async fn a_reply_that_is_too_long_is_an_error() {
        let replies = [
            ("+", "a"),
            ("$9000000000000\r\n", "a"),
            ("*1000000000\r\n", ":1\r\n"),
        ];
        for (begin, part) in replies {
            let sent = begin.to_owned() + &part.repeat(2 * LONGEST_REPLY);
            let mut wire = Wire::new(join(Cursor::new(sent), sink()));
            let error = poll_fn(|cx| wire.poll_next(cx)).await.unwrap_err();
            assert!(error.to_string().contains("longer than any"), "{error}");
        }
    }

    #[tokio::test]
    async fn replies_that_are_many_are_none_too_long() {
        let sent = ":1\r\n".repeat(LONGEST_REPLY / 2);
        let mut wire = Wire::new(join(Cursor::new(sent), sink()));
        for nth in 0..LONGEST_REPLY / 2 {
            let reply = poll_fn(|cx| wire.poll_next(cx)).await;
            assert_eq!(reply.unwrap(), Value::Int(1), "{nth}");
        }
    }

    #[tokio::test]
    async fn a_server_that_says_why_it_closes_the_connection_is_heard() {
        let error = heard(&["-ERR max number of clients reached\r\n"])
            .await
            .unwrap_err();
        assert_eq!(error.detail(), Some("max number of clients reached"));
    }
}
