//! Mail through the host's own account, to recipients that the operator granted.
//!
//! The sender is the host's, and so is the connection: a plugin chooses neither server nor
//! sender. The server's name passes the same checks as those of requests; private addresses
//! are open to it, for the operator named it, and metadata addresses are not. The connection
//! goes to an address that was checked, one for each message. The `Message-ID` comes from the message's own id, so a repeat is known as one.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use lettre::address::Address;
use lettre::message::header::ContentType;
use lettre::message::{Attachment as Part, Mailbox, MessageBuilder, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Host;

use super::http::{Net, Unreachable, addresses, reach};
use super::{Holder, Ungranted, tls};
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
    net: Net,
}

struct Account {
    mail: Mail,
    from: Mailbox,
    // Read with the first message.
    security: OnceLock<Result<Security, String>>,
}

/// How the connection is secured.
#[derive(Clone)]
enum Security {
    None,
    Starttls(TlsParameters),
    Tls(Arc<ClientConfig>),
}

impl Grant {
    /// Checks what the operator wrote; `mail` is the host's account, if it has one.
    pub fn new(
        holder: Arc<Holder>,
        grants: &Grants,
        mail: Option<Mail>,
        net: &Net,
        limits: &Limits,
    ) -> Result<Self, Ungranted> {
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
            Ok(Account { mail, from, security: OnceLock::new() })
        });
        let account = account.transpose()?;
        Ok(Self(Arc::new(Granted { holder, account, recipients, limits: limits.clone(), net: net.clone() })))
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
        let Granted { holder, account, limits, net, .. } = self.granted.as_ref();
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
        let host = &account.mail.host;
        let sent = tokio::time::timeout(time, account.hand_over(&mail, net, time)).await;
        let late = || Err(Fault::Transport(format!("mail server {host} did not answer in {time:?}")));
        let sent = sent.unwrap_or_else(|_| late());
        tracing::debug!(tenant = holder.tenant, plugin = holder.plugin, host, sent = sent.is_ok(), "mail");
        sent
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
                        "{} is not granted to plugin \"{plugin}\" for tenant \"{tenant}\": {}",
                        mailbox.email,
                        self.holder.widen("recipient", mailbox.email.as_ref())
                    )));
                }
                Ok(mailbox)
            })
            .collect()
    }
}

impl Account {
    /// Connects to the server and hands it one message.
    async fn hand_over(&self, mail: &lettre::Message, net: &Net, time: Duration) -> Result<(), Fault> {
        let Mail { host, login, .. } = &self.mail;
        let security = self.security.get_or_init(|| self.security()).clone().map_err(Fault::Transport)?;
        let broken = |error: &dyn std::error::Error| Fault::Transport(format!("mail server {host}: {}", reason(error)));
        let refused = |error: lettre::transport::smtp::Error| match error.is_permanent() {
            true => Fault::Invalid(format!("mail server {host} refused the message: {}", reason(&error))),
            false => broken(&error),
        };
        let (stream, address) =
            reach(net.connector.as_ref(), &self.addresses(net).await?, time).await.map_err(|e| broken(&e))?;
        let stream: Box<dyn AsyncTokioStream> = match &security {
            Security::Tls(config) => {
                let name = ServerName::try_from(host.clone()).map_err(|e| broken(&e))?;
                let tls = TlsConnector::from(Arc::clone(config));
                let stream = tls.connect(name, stream).await.map_err(|e| broken(&e))?;
                Box::new(Secured { stream, address })
            }
            Security::None | Security::Starttls(_) => Box::new(stream),
        };
        let hello = ClientId::default();
        let mut server = AsyncSmtpConnection::connect_with_transport(stream, &hello).await.map_err(refused)?;
        if let Security::Starttls(parameters) = security {
            // An error where the server does not offer it: nothing is sent in the clear.
            server.starttls(parameters, &hello).await.map_err(refused)?;
        }
        if let Some((user, password)) = login {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            server.auth(DEFAULT_MECHANISMS, &credentials).await.map_err(refused)?;
        }
        server.send(mail.envelope(), &mail.formatted()).await.map_err(refused)?;
        // It has the message; how it takes leave is its own affair.
        let _ = server.quit().await;
        Ok(())
    }

    /// The server's addresses that may be connected to.
    async fn addresses(&self, net: &Net) -> Result<Vec<SocketAddr>, Fault> {
        let Mail { host, port, .. } = &self.mail;
        let everywhere: [IpNet; 2] = [
            Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0).into(),
            Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0).into(),
        ];
        let parsed = host.parse::<Ipv6Addr>().map(Host::Ipv6).or_else(|_| Host::parse(host));
        let parsed =
            parsed.map_err(|e| Fault::Denied(format!("{host:?} is no host, {e}: correct smtp.host in anomd.yaml")))?;
        let found = addresses(net.resolver.as_ref(), &parsed, *port, &everywhere).await;
        found.map_err(|why| match why {
            Unreachable::Unknown(error) => Fault::Transport(format!("mail server {host} cannot be resolved: {error}")),
            Unreachable::Nowhere => Fault::Transport(format!("mail server {host} has no address")),
            Unreachable::Never(address) | Unreachable::Private(address) => Fault::Denied(format!(
                "mail server {host} is {address}, a metadata, link-local or reserved address: \
                 correct smtp.host in anomd.yaml"
            )),
        })
    }

    /// Reads the certificate, if one is named.
    fn security(&self) -> Result<Security, String> {
        let Mail { host, security, ca_file, .. } = &self.mail;
        let unusable = |why: String| {
            let file = ca_file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
            format!("smtp.ca_file {file}: {why}")
        };
        let authority = ca_file.as_ref().map(std::fs::read).transpose().map_err(|e| unusable(e.to_string()))?;
        Ok(match security {
            MailSecurity::None => Security::None,
            MailSecurity::Starttls => {
                let mut parameters = TlsParameters::builder(host.clone());
                if let Some(pem) = &authority {
                    let certificate = Certificate::from_pem(pem).map_err(|e| unusable(e.to_string()))?;
                    parameters = parameters.add_root_certificate(certificate);
                }
                Security::Starttls(parameters.build_rustls().map_err(|e| format!("TLS for mail server {host}: {e}"))?)
            }
            MailSecurity::Tls => {
                let config = tls::client_trusting(authority.as_deref()).map_err(unusable)?;
                Security::Tls(Arc::new(config))
            }
        })
    }
}

/// A connection that was secured before the first word.
#[derive(Debug)]
struct Secured {
    stream: tokio_rustls::client::TlsStream<TcpStream>,
    address: SocketAddr,
}

impl AsyncTokioStream for Secured {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl AsyncRead for Secured {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
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
    use super::super::http::fakes::{Names, Wire};
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
        grant_on(&Net::default(), mail)
    }

    fn grant_on(net: &Net, mail: Option<Mail>) -> Grant {
        let holder = Arc::new(Holder { tenant: "acme".into(), plugin: "email".into() });
        let grants = Grants { recipients: vec!["*@example.com".into(), "Ops@example.org".into()], ..Grants::default() };
        Grant::new(holder, &grants, mail, net, &Limits::default()).map_err(|e| e.message).unwrap()
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
        boss@example.org is not granted to plugin "email" for tenant "acme": add "boss@example.org" to tenants.acme.grants.email.recipients in anomd.yaml, or run `anomd tenant policy acme --recipient boss@example.org`
        "#);
        // Granted, so the connection is tried.
        for to in ["a@EXAMPLE.com", "ops@example.org"] {
            assert!(matches!(open.send(message(to)).await, Err(Fault::Transport(_))));
        }
    }

    #[tokio::test]
    async fn a_mail_server_at_a_metadata_address_is_refused_however_it_is_named() {
        let names = Names::new([("mail.example.com", &["169.254.169.254"][..])]);
        let wire = Wire::to(1);
        let net = Net::new(names, Arc::clone(&wire) as _);
        let mut texts = Vec::new();
        for host in ["mail.example.com", "169.254.169.254", "0xa9fea9fe", "::ffff:169.254.169.254", "[fd00:ec2::254]"] {
            let mail = Mail { host: host.into(), ..account(25) };
            let sent = grant_on(&net, Some(mail)).open(0).send(message("a@example.com")).await;
            let Err(Fault::Denied(why)) = sent else { panic!("{host}: {sent:?}") };
            texts.push(why);
        }
        insta::assert_snapshot!(texts.join("\n"), @r#"
        mail server mail.example.com is 169.254.169.254, a metadata, link-local or reserved address: correct smtp.host in anomd.yaml
        mail server 169.254.169.254 is 169.254.169.254, a metadata, link-local or reserved address: correct smtp.host in anomd.yaml
        mail server 0xa9fea9fe is 169.254.169.254, a metadata, link-local or reserved address: correct smtp.host in anomd.yaml
        mail server ::ffff:169.254.169.254 is ::ffff:169.254.169.254, a metadata, link-local or reserved address: correct smtp.host in anomd.yaml
        mail server [fd00:ec2::254] is fd00:ec2::254, a metadata, link-local or reserved address: correct smtp.host in anomd.yaml
        "#);
        assert_eq!(wire.tried(), [""; 0]);
    }

    #[tokio::test]
    async fn a_mail_server_is_looked_up_once_a_message_and_reached_at_an_address_that_was_checked() {
        let (port, said) = server("250 ok").await;
        let names = Names::new([("mail.example.com", &["169.254.169.254 10.1.2.3", "169.254.169.254"][..])]);
        let wire = Wire::to(port);
        let net = Net::new(Arc::clone(&names) as _, Arc::clone(&wire) as _);
        let grant = grant_on(&net, Some(Mail { host: "mail.example.com".into(), ..account(25) }));
        grant.open(0).send(message("a@example.com")).await.unwrap();
        assert!(said.await.unwrap().contains("RCPT TO:<a@example.com>"));
        let sent = grant.open(0).send(message("a@example.com")).await;
        assert!(matches!(sent, Err(Fault::Denied(_))), "{sent:?}");
        assert_eq!((wire.tried(), names.asked().len()), (vec!["10.1.2.3:25".to_owned()], 2));
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
