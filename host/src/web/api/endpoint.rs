//! Where each request of the desk stands in the API: for a client that sends it.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::desk::{
    Acknowledge, AlertQuery, AlertShow, Ask, EventAdd, EventEnd, EventQuery, Query, SilenceAdd, SilenceExpire,
    SilenceQuery, Snooze, Unacknowledge, Why,
};

/// How a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// In the query string of a `GET`.
    Get,
    /// In the JSON body of a `POST`.
    Post,
}

/// A request with an address.
pub trait Endpoint: Ask {
    /// How it is sent.
    const VERB: Verb;

    /// Its path below `/api/v1/`.
    fn path(&self) -> String;
}

/// A request about one thing, which the path names.
pub trait Named {
    /// Sets what it is about.
    fn name(&mut self, id: String);
}

macro_rules! endpoints {
    ($($request:ty: $verb:ident $path:literal;)*) => {$(
        impl Endpoint for $request {
            const VERB: Verb = Verb::$verb;

            fn path(&self) -> String {
                $path.to_owned()
            }
        }
    )*};
}

macro_rules! named_endpoints {
    ($($request:ty: $verb:ident $path:literal;)*) => {$(
        impl Named for $request {
            fn name(&mut self, id: String) {
                self.id = id;
            }
        }

        impl Endpoint for $request {
            const VERB: Verb = Verb::$verb;

            fn path(&self) -> String {
                format!($path, utf8_percent_encode(&self.id, NON_ALPHANUMERIC))
            }
        }
    )*};
}

endpoints! {
    AlertQuery: Get "alerts";
    SilenceQuery: Get "silences";
    SilenceAdd: Post "silences";
    EventQuery: Get "events";
    EventAdd: Post "events";
    Why: Get "why";
    Query: Get "query";
}

named_endpoints! {
    AlertShow: Get "alerts/{}";
    Acknowledge: Post "alerts/{}/ack";
    Unacknowledge: Post "alerts/{}/unack";
    Snooze: Post "alerts/{}/snooze";
    SilenceExpire: Post "silences/{}/expire";
    EventEnd: Post "events/{}/end";
}
