//! The server's address, as operators write it.

/// Paths of the API that people copy along with the address.
const PATHS: [&str; 4] = ["/api/v1/query_range", "/api/v1/query", "/api/v1", "/graph"];

/// The address without the API's path, and the path that was cut off, if one was.
///
/// It does not say that the host's parser will accept the address: only what would be
/// misread here is refused.
pub fn base(url: &str) -> Result<(&str, Option<&str>), String> {
    let url = url.trim();
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
        .ok_or_else(|| format!("\"{url}\" does not begin with http:// or https://"))?;
    if rest.contains(['?', '#']) {
        return Err(format!(
            "\"{url}\" has a query or a fragment: give the address alone, as in http://localhost:9090"
        ));
    }
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        // The address is not repeated here: it has a password in it.
        return Err("a user name or password in an address is seen by everyone: use `username` and the secret \
                    `password`"
            .into());
    }
    if authority.is_empty()
        || authority.starts_with(':')
        || rest.contains(|c: char| c.is_whitespace() || c.is_control())
    {
        return Err(format!("\"{url}\" is no address: write it as in http://localhost:9090"));
    }
    let url = url.trim_end_matches('/');
    Ok(match PATHS.iter().find_map(|path| url.strip_suffix(path)) {
        Some(base) => (base.trim_end_matches('/'), Some(&url[base.len()..])),
        None => (url, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_api_is_cut_off() {
        assert_eq!(base("http://localhost:9090"), Ok(("http://localhost:9090", None)));
        assert_eq!(base(" http://localhost:9090/ "), Ok(("http://localhost:9090", None)));
        assert_eq!(
            base("https://demo.promlabs.com/api/v1/query"),
            Ok(("https://demo.promlabs.com", Some("/api/v1/query")))
        );
        assert_eq!(base("https://a/prom/api/v1/"), Ok(("https://a/prom", Some("/api/v1"))));
        assert_eq!(base("https://a/prometheus"), Ok(("https://a/prometheus", None)));
    }

    #[test]
    fn what_is_no_address_is_refused_without_telling_a_password() {
        for url in
            ["", "localhost:9090", "ftp://a", "http://", "http:///x", "http://:9090", "http://a b", "http://a?x=1"]
        {
            assert!(base(url).is_err(), "{url}");
        }
        let told = base("http://admin:hunter2@a:9090").unwrap_err();
        assert!(!told.contains("hunter2"), "{told}");
    }
}
