//! A message with a file, as `multipart/form-data` (RFC 7578).

/// The media type and the body: the message as `payload_json`, a PNG as the first file.
pub fn form(message: &str, name: &str, png: &[u8]) -> (String, Vec<u8>) {
    let mut boundary = "anomd-boundary".to_owned();
    while message.contains(&boundary) || png.windows(boundary.len()).any(|window| window == boundary.as_bytes()) {
        boundary.push('-');
    }
    let mut body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"payload_json\"\r\n\
         Content-Type: application/json\r\n\r\n{message}\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"files[0]\"; filename=\"{name}\"\r\n\
         Content-Type: image/png\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(png);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart_whatever_is_in_them() {
        let (media_type, body) = form(r#"{"content": "--anomd-boundary"}"#, "chart.png", b"\r\n--anomd-boundary-\r\n");
        let boundary = media_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        assert_eq!(boundary, "anomd-boundary--");
        let body = String::from_utf8(body).unwrap();
        let parts: Vec<&str> = body.split(&format!("--{boundary}")).collect();
        assert_eq!((parts.len(), parts[3]), (4, "--\r\n"));
        assert!(parts[1].ends_with("\r\n\r\n{\"content\": \"--anomd-boundary\"}\r\n"));
        assert!(parts[2].contains("name=\"files[0]\"; filename=\"chart.png\""));
        assert!(parts[2].ends_with("\r\n\r\n\r\n--anomd-boundary-\r\n\r\n"));
    }
}
