//! What the types of secrets cannot do: nobody prints or compares one by accident.

use std::fmt::{Debug, Display};

use openclaw_pairing::heads::HeadKey;
use openclaw_pairing::keyring::OwnDevice;
use openclaw_pairing::pairing::{DeviceToken, SharedSecret, TokenKey};
use openclaw_pairing::wire::connect::AuthParams;

/// Does not compile where the type has any of the traits: then two implementations fit, and none is chosen.
macro_rules! has_none_of {
    ($secret:ty: $($what:path),+) => {$({
        trait Either<Which> {
            fn any() {}
        }
        struct This;
        impl<T: ?Sized> Either<()> for T {}
        impl<T: ?Sized + $what> Either<This> for T {}
        <$secret as Either<_>>::any();
    })+};
}

#[test]
fn a04_no_type_of_a_secret_can_be_printed_or_compared() {
    has_none_of!(SharedSecret: PartialEq, PartialEq<str>, PartialOrd, Debug, Display, Clone);
    has_none_of!(DeviceToken: PartialEq, PartialEq<str>, PartialOrd, Debug, Display, Clone);
    has_none_of!(TokenKey: PartialEq, PartialOrd, Debug, Display, Clone);
    has_none_of!(OwnDevice: PartialEq, PartialOrd, Debug, Display, Clone);
    has_none_of!(HeadKey: PartialEq, PartialOrd, Debug, Display, Clone);
    has_none_of!(AuthParams: PartialEq, PartialOrd, Display, Clone);
    assert_eq!(format!("{:?}", AuthParams { token: Some("secret".to_owned()), ..AuthParams::default() }), "AuthParams(..)");
}
