//! Mail through the host's own account, to recipients that the operator granted.
//!
//! The sender is the host's, and so is the connection: a plugin chooses neither server nor
//! sender. The `Message-ID` comes from the message's own id, so a repeat is known as one.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use lettre::address::Address;
use lettre::message::header::ContentType;
use lettre::message::{Attachment as Part, Mailbox, MessageBuilder, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use super::{Holder, Ungranted};
use crate::config::{Grants, Limits, Mail, MailSecurity};
use crate::series::Millis;

/// A file in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// `image/png`, say.
    pub media_type: String,
    /// Set: shown inside the HTML, as `cid:` and this.
    pub content_id: Option<String>,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The same for every attempt.
    pub id: String,
    /// Addresses, with or without a name.
    pub to: Vec<String>,
    /// One line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same as HTML.
    pub html: Option<String>,
    /// Files.
    pub attachments: Vec<Attachment>,
}

/// Why nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not granted; the text says what to grant.
    Denied(String),
    /// The message is not one, or the server will never take it.
    Invalid(String),
    /// The server, or the way to it.
    Transport(String),
}

/// Whom a pattern grants.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Recipients {
    One(String),
    Domain(String),
}

impl Recipients {
    fn parse(text: &str) -> Result<Self, String> {
        let domain = text.strip_prefix("*@");
        let address = domain.map_or_else(|| text.to_owned(), |domain| format!("x@{domain}"));
        let address: Address =
            address.parse().map_err(|_| format!("\"{text}\" is neither a mail address nor \"*@example.com\""))?;
        Ok(match domain {
            Some(_) => Self::Domain(address.domain().to_lowercase()),
            None => Self::One(address.to_string().to_lowercase()),
        })
    }

    fn matches(&self, address: &Address) -> bool {
        match self {
            Self::One(one) => address.to_string().to_lowercase() == *one,
            Self::Domain(domain) => address.domain().to_lowercase() == *domain,
        }
    }
}

/// The right to send mail.
#[derive(Clone)]
pub struct Grant(Arc<Granted>);

struct Granted {
    holder: Arc<Holder>,
    account: Option<Account>,
    recipients: Vec<Recipients>,
    limits: Limits,
}

struct Account {
    mail: Mail,
    from: Mailbox,
    // Made with the first message.
    transport: OnceLock<Result<AsyncSmtpTransport<Tokio1Executor>, String>>,
}

impl Grant {
    /// Checks what the operator wrote; `mail` is the host's account, if it has one.
    pub fn new(holder: Arc<Holder>, grants: &Grants, mail: Option<Mail>, limits: &Limits) -> Result<Self, Ungranted> {
        let recipients: Result<_, String> = grants.recipients.iter().map(|text| Recipients::parse(text)).collect();
        let recipients = recipients.map_err(|message| Ungranted {
            message,
            remedy: format!("correct tenants.{}.grants.{}.recipients in anomd.yaml", holder.tenant, holder.plugin),
        })?;
        let account = mail.map(|mail| {
            let from = mail.from.parse().map_err(|_| Ungranted {
                message: format!("\"{}\" is no mail address", mail.from),
                remedy: "correct smtp.from in anomd.yaml".into(),
            })?;
            Ok(Account { mail, from, transport: OnceLock::new() })
        });
        let account = account.transpose()?;
        Ok(Self(Arc::new(Granted { holder, account, recipients, limits: limits.clone() })))
    }

    /// For one call, at the logical now.
    pub fn open(&self, now: Millis) -> Outgoing {
        Outgoing { granted: Arc::clone(&self.0), now, sent: 0 }
    }
}

/// Mail of one call.
pub struct Outgoing {
    granted: Arc<Granted>,
    now: Millis,
    sent: u32,
}

impl Outgoing {
    /// Hands one message to the server.
    pub async fn send(&mut self, message: Message) -> Result<(), Fault> {
        let Granted { holder, account, limits, .. } = self.granted.as_ref();
        let account =
            account.as_ref().ok_or_else(|| Fault::Denied("no mail account: add smtp to anomd.yaml".into()))?;
        if self.sent >= limits.mail_messages_per_call {
            return Err(Fault::Denied(format!(
                "more than {} mails in one call: raise limits.mail_messages_per_call in anomd.yaml",
                limits.mail_messages_per_call
            )));
        }
        self.sent += 1;
        let to = self.granted.permitted(&message.to)?;
        let size = message.text.len()
            + message.html.as_ref().map_or(0, String::len)
            + message.attachments.iter().map(|a| a.data.len()).sum::<usize>();
        if size > limits.mail_message_bytes {
            return Err(Fault::Invalid(format!(
                "a mail of {size} bytes: {} are allowed (limits.mail_message_bytes in anomd.yaml)",
                limits.mail_message_bytes
            )));
        }
        let mail = compose(account.from.clone(), to, message, self.now)?;
        let time = Duration::from_millis(limits.mail_total_ms);
        let transport = account.transport(time).map_err(|why| Fault::Transport(why.to_owned()))?;
        let host = &account.mail.host;
        let sent = tokio::time::timeout(time, transport.send(mail)).await;
        let sent = sent.map_err(|_| Fault::Transport(format!("mail server {host} did not answer in {time:?}")))?;
        tracing::debug!(tenant = holder.tenant, plugin = holder.plugin, host, sent = sent.is_ok(), "mail");
        match sent {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => {
                Err(Fault::Invalid(format!("mail server {host} refused the message: {}", reason(&error))))
            }
            Err(error) => Err(Fault::Transport(format!("mail server {host}: {}", reason(&error)))),
        }
    }
}

impl Granted {
    fn permitted(&self, to: &[String]) -> Result<Vec<Mailbox>, Fault> {
        if to.is_empty() {
            return Err(Fault::Invalid("a mail has at least one recipient".into()));
        }
        let Holder { tenant, plugin } = self.holder.as_ref();
        to.iter()
            .map(|text| {
                let mailbox: Mailbox =
                    text.parse().map_err(|_| Fault::Invalid(format!("{text:?} is no mail address")))?;
                if !self.recipients.iter().any(|granted| granted.matches(&mailbox.email)) {
                    return Err(Fault::Denied(format!(
                        "{} is not granted to plugin \"{plugin}\" for tenant \"{tenant}\": \
                         add \"{}\" to tenants.{tenant}.grants.{plugin}.recipients in anomd.yaml",
                        mailbox.email, mailbox.email
                    )));
                }
                Ok(mailbox)
            })
            .collect()
    }
}

impl Account {
    fn transport(&self, time: Duration) -> Result<&AsyncSmtpTransport<Tokio1Executor>, &str> {
        self.transport.get_or_init(|| self.connect(time)).as_ref().map_err(String::as_str)
    }

    /// Reads the certificate, if one is named; connects with the first message.
    fn connect(&self, time: Duration) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
        let Mail { host, port, security, login, ca_file, .. } = &self.mail;
        let parameters = || {
            let mut parameters = TlsParameters::builder(host.clone());
            if let Some(file) = ca_file {
                let unusable = |why: String| format!("smtp.ca_file {}: {why}", file.display());
                let pem = std::fs::read(file).map_err(|e| unusable(e.to_string()))?;
                parameters =
                    parameters.add_root_certificate(Certificate::from_pem(&pem).map_err(|e| unusable(e.to_string()))?);
            }
            parameters.build_rustls().map_err(|e| format!("TLS for mail server {host}: {e}"))
        };
        let tls = match security {
            MailSecurity::Tls => Tls::Wrapper(parameters()?),
            MailSecurity::Starttls => Tls::Required(parameters()?),
            MailSecurity::None => Tls::None,
        };
        let mut transport =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).port(*port).tls(tls).timeout(Some(time));
        if let Some((user, password)) = login {
            transport = transport.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        Ok(transport.build())
    }
}

fn compose(from: Mailbox, to: Vec<Mailbox>, message: Message, now: Millis) -> Result<lettre::Message, Fault> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(now).unwrap_or(0));
    let id = format!("<{}@{}>", atom(&message.id), from.email.domain());
    let subject: String = message.subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut builder: MessageBuilder =
        lettre::Message::builder().from(from).subject(subject).message_id(Some(id)).date(now);
    for mailbox in to {
        builder = builder.to(mailbox);
    }
    let (inline, attached): (Vec<_>, Vec<_>) =
        message.attachments.into_iter().partition(|attachment| attachment.content_id.is_some());
    let text = SinglePart::plain(message.text);
    let mut body = match message.html {
        None => MultiPart::mixed().singlepart(text),
        Some(html) => {
            let mut related = MultiPart::related().singlepart(SinglePart::html(html));
            for attachment in inline {
                related = related.singlepart(part(attachment)?);
            }
            MultiPart::mixed().multipart(MultiPart::alternative().singlepart(text).multipart(related))
        }
    };
    for attachment in attached {
        body = body.singlepart(part(attachment)?);
    }
    builder.multipart(body).map_err(|e| Fault::Invalid(e.to_string()))
}

fn part(attachment: Attachment) -> Result<SinglePart, Fault> {
    let kind = ContentType::parse(&attachment.media_type)
        .map_err(|_| Fault::Invalid(format!("{:?} is no media type", attachment.media_type)))?;
    let name: String = attachment.name.chars().filter(|c| !c.is_control()).collect();
    Ok(match attachment.content_id {
        Some(id) => Part::new_inline_with_name(atom(&id), name),
        None => Part::new(name),
    }
    .body(attachment.data, kind))
}

/// What may stand in a `Message-ID` or a `Content-ID`.
fn atom(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
}

fn reason(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(to: &str) -> Message {
        Message {
            id: "a1/b2".into(),
            to: vec![to.into()],
            subject: "CPU\r\nBcc: all@example.org".into(),
            text: "text".into(),
            html: Some("<img src=\"cid:chart\">".into()),
            attachments: vec![Attachment {
                name: "chart.png".into(),
                media_type: "image/png".into(),
                content_id: Some("chart".into()),
                data: vec![1, 2, 3],
            }],
        }
    }

    fn grant(mail: Option<Mail>) -> Grant {
        let holder = Arc::new(Holder { tenant: "acme".into(), plugin: "email".into() });
        let grants = Grants { recipients: vec!["*@example.com".into(), "Ops@example.org".into()], ..Grants::default() };
        Grant::new(holder, &grants, mail, &Limits::default()).map_err(|e| e.message).unwrap()
    }

    fn account(port: u16) -> Mail {
        Mail {
            host: "127.0.0.1".into(),
            port,
            security: MailSecurity::None,
            login: None,
            from: "anomd <anomd@example.com>".into(),
            ca_file: None,
        }
    }

    /// Takes one message and returns all that the client said; `to_recipient` answers RCPT.
    async fn server(to_recipient: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
        use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = async move {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            let (mut said, mut in_data) = (String::new(), false);
            stream.write_all(b"220 test\r\n").await.unwrap();
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await.unwrap() == 0 {
                    return said;
                }
                said.push_str(&line);
                let answer = match line.get(..4).unwrap_or_default() {
                    _ if in_data && line != ".\r\n" => continue,
                    "DATA" => "354 go on",
                    "RCPT" => to_recipient,
                    "QUIT" => "221 bye",
                    _ => "250 ok",
                };
                in_data = line == "DATA\r\n";
                stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
            }
        };
        (port, tokio::spawn(serve))
    }

    #[tokio::test]
    async fn a_granted_message_is_handed_to_the_server_and_its_refusal_is_told() {
        let (port, said) = server("250 ok").await;
        grant(Some(account(port))).open(0).send(message("a@example.com")).await.unwrap();
        let said = said.await.unwrap();
        assert!(said.contains("MAIL FROM:<anomd@example.com>") && said.contains("RCPT TO:<a@example.com>"), "{said}");
        assert!(said.contains("Message-ID: <a1-b2@example.com>"), "{said}");
        for (answer, permanent) in [("550 no such user", true), ("450 later", false)] {
            let (port, _) = server(answer).await;
            let fault = grant(Some(account(port))).open(0).send(message("a@example.com")).await.unwrap_err();
            assert_eq!(matches!(fault, Fault::Invalid(_)), permanent, "{fault:?}");
        }
    }

    #[tokio::test]
    async fn without_an_account_or_a_grant_nothing_is_sent() {
        let mail = account(1);
        let Err(Fault::Denied(no_account)) = grant(None).open(0).send(message("a@example.com")).await else { panic!() };
        let mut open = grant(Some(mail)).open(0);
        let Err(Fault::Denied(not_granted)) = open.send(message("Boss <boss@example.org>")).await else { panic!() };
        insta::assert_snapshot!(format!("{no_account}\n{not_granted}"), @r#"
        no mail account: add smtp to anomd.yaml
        boss@example.org is not granted to plugin "email" for tenant "acme": add "boss@example.org" to tenants.acme.grants.email.recipients in anomd.yaml
        "#);
        // Granted, so the connection is tried.
        for to in ["a@EXAMPLE.com", "ops@example.org"] {
            assert!(matches!(open.send(message(to)).await, Err(Fault::Transport(_))));
        }
    }

    #[test]
    fn a_message_cannot_smuggle_headers_and_its_id_is_stable() {
        let mail = compose("anomd@example.com".parse().unwrap(), vec!["a@b.c".parse().unwrap()], message("a@b.c"), 0);
        let text = String::from_utf8(mail.unwrap().formatted()).unwrap();
        assert!(text.contains("Message-ID: <a1-b2@example.com>\r\n"));
        assert!(text.contains("Subject: CPU  Bcc: all@example.org\r\n"));
        assert!(text.contains("Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"));
        assert!(text.contains("Content-ID: <chart>\r\n") && text.contains("Content-Disposition: inline"));
    }
}
