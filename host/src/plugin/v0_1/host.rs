//! What a component may import, put before it interface by interface.

use std::time::Duration;

use wasmtime::component::{HasSelf, Linker};

use super::anomd::plugin::{clock, http, kv, log, mail, random};
use crate::capability::{self, Open};
use crate::engine::{Cell, Refusal};

/// The linker of components.
pub(super) type Host = Linker<Cell<Open>>;

/// Links one interface of the contract; false for one that is not in it.
pub(super) fn link(linker: &mut Host, interface: &str) -> wasmtime::Result<bool> {
    match interface {
        "log" => log::add_to_linker::<_, HasSelf<Open>>(linker, |cell| &mut cell.data)?,
        "clock" => clock::add_to_linker::<_, HasSelf<Open>>(linker, |cell| &mut cell.data)?,
        "random" => random::add_to_linker::<_, HasSelf<Open>>(linker, |cell| &mut cell.data)?,
        "http" => http::add_to_linker::<_, HasSelf<Open>>(linker, |cell| &mut cell.data)?,
        "kv" => kv::add_to_linker::<_, HasSelf<Open>>(linker, |cell| &mut cell.data)?,
        "mail" => mail::add_to_linker::<_, HasSelf<Open>>(linker, |cell| &mut cell.data)?,
        // Types alone: there is nothing to link.
        "types" => {}
        _ => return Ok(false),
    }
    Ok(true)
}

impl log::Host for Open {
    async fn write(
        &mut self,
        level: log::Level,
        message: String,
        fields: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Trace => tracing::Level::TRACE,
            log::Level::Debug => tracing::Level::DEBUG,
            log::Level::Info => tracing::Level::INFO,
            log::Level::Warn => tracing::Level::WARN,
            log::Level::Error => tracing::Level::ERROR,
        };
        self.log.write(level, &message, &fields);
        Ok(())
    }
}

impl clock::Host for Open {
    async fn now(&mut self) -> wasmtime::Result<i64> {
        Ok(self.clock.now())
    }
}

impl random::Host for Open {
    async fn seed(&mut self) -> wasmtime::Result<u64> {
        Ok(self.random.seed())
    }

    async fn draw(&mut self, count: u32) -> wasmtime::Result<Vec<u8>> {
        self.random.draw(count).ok_or_else(|| {
            let most = capability::random::DRAW_BYTES;
            Refusal(format!("random.draw of {count} bytes, where {most} are allowed")).into()
        })
    }
}

impl http::Host for Open {
    async fn send(&mut self, request: http::Request) -> wasmtime::Result<Result<http::Response, http::Fault>> {
        use capability::http as own;
        let request = own::Request {
            method: match request.method {
                http::Method::Get => own::Method::Get,
                http::Method::Head => own::Method::Head,
                http::Method::Post => own::Method::Post,
                http::Method::Put => own::Method::Put,
                http::Method::Delete => own::Method::Delete,
                http::Method::Patch => own::Method::Patch,
            },
            target: match request.target {
                http::Target::Url(url) => own::Target::Url(url),
                http::Target::Secret(slot) => own::Target::Secret(slot),
            },
            headers: request.headers,
            auth: request.auth.map(|auth| match auth {
                http::Auth::Bearer(slot) => own::Auth::Bearer(slot),
                http::Auth::Basic((user, slot)) => own::Auth::Basic(user, slot),
                http::Auth::Header((name, slot)) => own::Auth::Header(name, slot),
                http::Auth::Hmac(signature) => own::Auth::Hmac(own::Signature {
                    slot: signature.slot,
                    digest: match signature.digest {
                        http::Digest::Sha256 => own::Digest::Sha256,
                        http::Digest::Sha512 => own::Digest::Sha512,
                    },
                    header: signature.header,
                    prefix: signature.prefix,
                }),
            }),
            blanks: (request.blanks.into_iter())
                .map(|blank| own::Blank { placeholder: blank.placeholder, slot: blank.slot })
                .collect(),
            body: request.body,
            timeout: request.timeout_ms.map(|ms| Duration::from_millis(ms.into())),
        };
        let answer = self.http.send(request).await;
        let answer = answer.map(|a| http::Response { status: a.status, headers: a.headers, body: a.body });
        Ok(answer.map_err(|fault| match fault {
            own::Fault::Denied(text) => http::Fault::Denied(text),
            own::Fault::Timeout => http::Fault::Timeout,
            own::Fault::TooLarge(limit) => http::Fault::TooLarge(saturated(limit)),
            own::Fault::Invalid(text) => http::Fault::Invalid(text),
            own::Fault::Transport(text) => http::Fault::Transport(text),
        }))
    }
}

impl kv::Host for Open {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, kv::Fault>> {
        Ok(self.kv.get(&key).map_err(kv_fault))
    }

    async fn put(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), kv::Fault>> {
        Ok(self.kv.put(&key, &value).map_err(kv_fault))
    }

    async fn swap(
        &mut self,
        key: String,
        expected: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
    ) -> wasmtime::Result<Result<(), kv::Fault>> {
        Ok(self.kv.swap(&key, expected.as_deref(), value.as_deref()).map_err(kv_fault))
    }

    async fn keys(
        &mut self,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Result<Vec<String>, kv::Fault>> {
        Ok(self.kv.keys(&prefix, after.as_deref(), limit).map_err(kv_fault))
    }
}

fn kv_fault(fault: capability::kv::Fault) -> kv::Fault {
    match fault {
        capability::kv::Fault::Quota(bytes) => kv::Fault::Quota(saturated(bytes)),
        capability::kv::Fault::Conflict => kv::Fault::Conflict,
        capability::kv::Fault::Unavailable(text) => kv::Fault::Unavailable(text),
    }
}

impl mail::Host for Open {
    async fn send(&mut self, message: mail::Message) -> wasmtime::Result<Result<(), mail::Fault>> {
        use capability::mail as own;
        let attachments = message.attachments.into_iter().map(|attachment| own::Attachment {
            name: attachment.name,
            media_type: attachment.media_type,
            content_id: attachment.content_id,
            data: attachment.data,
        });
        let message = own::Message {
            id: message.id,
            to: message.to,
            subject: message.subject,
            text: message.text,
            html: message.html,
            attachments: attachments.collect(),
        };
        Ok(self.mail.send(message).await.map_err(|fault| match fault {
            own::Fault::Denied(text) => mail::Fault::Denied(text),
            own::Fault::Invalid(text) => mail::Fault::Invalid(text),
            own::Fault::Transport(text) => mail::Fault::Transport(text),
        }))
    }
}

fn saturated(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
