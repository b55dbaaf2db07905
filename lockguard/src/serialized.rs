//! Values in messages, with the feature `serde`.
//!
//! What is read is checked as everywhere else: a value in hand is a valid one.
//! Owner tokens are secrets and have no place in messages of their own; who
//! needs one writes [`OwnerToken::expose`](crate::OwnerToken::expose).

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Unexpected},
};

use crate::{fencing_token::FencingToken, handover::Handover, key::LockKey};

/// As a number.
impl Serialize for FencingToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.get())
    }
}

impl<'de> Deserialize<'de> for FencingToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        Self::new(number).ok_or_else(|| {
            let expected = "a number above 0 and below 2^53";
            D::Error::invalid_value(Unexpected::Unsigned(number), &expected)
        })
    }
}

/// As text.
impl Serialize for LockKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for LockKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        Self::new(key).map_err(D::Error::custom)
    }
}

/// As the text of [`Handover::expose`].
impl Serialize for Handover {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.expose())
    }
}

impl<'de> Deserialize<'de> for Handover {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_that_is_no_fencing_token_is_refused() {
        for text in ["0", "9007199254740992", "-1", "1.5", "\"1\""] {
            assert!(
                serde_json::from_str::<FencingToken>(text).is_err(),
                "{text}"
            );
        }
        let error = serde_json::from_str::<FencingToken>("0").unwrap_err();
        assert!(error.to_string().contains("below 2^53"), "{error}");
    }

    #[test]
    fn a_text_that_is_no_key_is_refused() {
        let error = serde_json::from_str::<LockKey>("\"a b\"").unwrap_err();
        assert!(error.to_string().contains("white space"), "{error}");
    }

    #[test]
    fn a_handover_is_its_text_and_anything_else_is_refused() {
        let text = "lgh1;2000;17;lg1:a:00000000000000000000000000000000;k";
        let handover: Handover = text.parse().unwrap();
        let json = serde_json::to_string(&handover).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Handover>(&json).unwrap(), handover);
        let forged = json.replace("2000", "1");
        assert!(serde_json::from_str::<Handover>(&forged).is_err());
    }

    proptest! {
        #[test]
        fn keys_and_tokens_survive_the_round_trip(
            key in "[!-~]{1,64}",
            number in 1..=FencingToken::MAX,
        ) {
            let key = LockKey::new(key).unwrap();
            let token = FencingToken::new(number).unwrap();
            let json = serde_json::to_string(&(&key, token)).unwrap();
            prop_assert_eq!(serde_json::from_str::<(LockKey, FencingToken)>(&json).unwrap(), (key, token));
        }
    }
}
