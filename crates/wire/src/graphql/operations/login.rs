//! Who the caller is, and what the server can do.

use serde::{Deserialize, Serialize};

use super::{Named, Operation, answer, present, variables};

variables! {
    /// Asks to whom the key belongs.
    WhoAmI {}
}

impl Operation for WhoAmI {
    const NAME: &'static str = "StreamTableWhoAmI";
    const DOCUMENT: &'static str = include_str!("../documents/who_am_i.graphql");
    type Answer = WhoAmIAnswer;
}

answer! {
    /// The answer to [`WhoAmI`].
    WhoAmIAnswer {
        /// The key's owner; absent when the server does not know the key.
        #[serde(deserialize_with = "present")]
        viewer: Option<Viewer>,
    }
}

answer! {
    /// The owner of a key.
    Viewer {
        /// The entity that the owner logs to when none is named.
        default_entity: Option<Named>,
    }
}

variables! {
    /// Asks what the server can do.
    ServerFeatures {}
}

impl Operation for ServerFeatures {
    const NAME: &'static str = "StreamTableServerFeatures";
    const DOCUMENT: &'static str = include_str!("../documents/server_features.graphql");
    type Answer = ServerFeaturesAnswer;
}

answer! {
    /// The answer to [`ServerFeatures`].
    ServerFeaturesAnswer {
        /// What the server says of itself.
        #[serde(deserialize_with = "present")]
        server_info: Option<ServerInfo>,
    }
}

answer! {
    /// What a server says of itself.
    ServerInfo {
        /// The features that it names.
        features: Vec<Feature>,
    }
}

answer! {
    /// A feature of a server.
    Feature {
        /// Its name.
        name: String,
        /// Whether it is on.
        is_enabled: bool,
    }
}

impl ServerFeaturesAnswer {
    /// Tells whether a feature is on.
    pub fn has(&self, feature: &str) -> bool {
        let features = self.server_info.iter().flat_map(|info| &info.features);
        features.into_iter().any(|f| f.name == feature && f.is_enabled)
    }
}
