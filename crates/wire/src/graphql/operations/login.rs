//! Operations that return the key's owner and the server's features.

use serde::{Deserialize, Serialize};

use super::{Named, Operation, answer, present, variables};

variables! {
    /// Requests the owner of the API key.
    WhoAmI {}
}

impl Operation for WhoAmI {
    const NAME: &'static str = "StreamTableWhoAmI";
    const DOCUMENT: &'static str = include_str!("../documents/who_am_i.graphql");
    type Answer = WhoAmIAnswer;
}

answer! {
    /// The response to [`WhoAmI`].
    WhoAmIAnswer {
        /// The key's owner; absent if the server does not know the key.
        #[serde(deserialize_with = "present")]
        viewer: Option<Viewer>,
    }
}

answer! {
    /// The owner of a key.
    Viewer {
        /// The entity that is used if the owner logs without naming one.
        default_entity: Option<Named>,
    }
}

variables! {
    /// Requests the server's features.
    ServerFeatures {}
}

impl Operation for ServerFeatures {
    const NAME: &'static str = "StreamTableServerFeatures";
    const DOCUMENT: &'static str = include_str!("../documents/server_features.graphql");
    type Answer = ServerFeaturesAnswer;
}

answer! {
    /// The response to [`ServerFeatures`].
    ServerFeaturesAnswer {
        /// The server's self-description.
        #[serde(deserialize_with = "present")]
        server_info: Option<ServerInfo>,
    }
}

answer! {
    /// A server's self-description.
    ServerInfo {
        /// The features.
        features: Vec<Feature>,
    }
}

answer! {
    /// A feature of a server.
    Feature {
        /// Its name.
        name: String,
        /// Whether the feature is enabled.
        is_enabled: bool,
    }
}

impl ServerFeaturesAnswer {
    /// Returns whether a feature is enabled.
    pub fn has(&self, feature: &str) -> bool {
        let features = self.server_info.iter().flat_map(|info| &info.features);
        features.into_iter().any(|f| f.name == feature && f.is_enabled)
    }
}
