//! The type of what runs under the lock.

use syn::{
    GenericArgument, Path, PathArguments, ReturnType, Signature, Token, Type, TypeInfer,
    TypeParamBound, punctuated::Punctuated, spanned::Spanned,
};

/// The declared return type; `()` at the function's name when there is none.
pub(crate) fn declared(signature: &Signature) -> Type {
    match &signature.output {
        ReturnType::Type(_, output) => (**output).clone(),
        ReturnType::Default => syn::parse_quote_spanned!(signature.ident.span()=> ()),
    }
}

/// `T` of `impl Future<Output = T>`, `Pin<Box<dyn Future<Output = T>>>` and
/// `BoxFuture<T>`.
pub(crate) fn of_future(future: &Type) -> Option<Type> {
    match future {
        Type::Group(group) => of_future(&group.elem),
        Type::Paren(paren) => of_future(&paren.elem),
        Type::ImplTrait(opaque) => of_bounds(&opaque.bounds),
        Type::TraitObject(object) => of_bounds(&object.bounds),
        Type::Path(path) => {
            let segment = path.path.segments.last()?;
            let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
                return None;
            };
            let inner = arguments
                .args
                .iter()
                .rev()
                .find_map(|argument| match argument {
                    GenericArgument::Type(inner) => Some(inner),
                    _ => None,
                })?;
            let name = segment.ident.to_string();
            match name.as_str() {
                "Pin" | "Box" => of_future(inner),
                "BoxFuture" | "LocalBoxFuture" => Some(inner.clone()),
                _ => None,
            }
        }
        _ => None,
    }
}

fn of_bounds(bounds: &Punctuated<TypeParamBound, Token![+]>) -> Option<Type> {
    bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else {
            return None;
        };
        let segment = bound.path.segments.last()?;
        let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
            return None;
        };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(output) if output.ident == "Output" => {
                Some(output.ty.clone())
            }
            _ => None,
        })
    })
}

/// Replaces every `impl Trait`, which cannot be written in a body, by `_`.
pub(crate) fn erase_opaque(ty: &mut Type) {
    match ty {
        Type::ImplTrait(_) => *ty = infer(ty),
        Type::Array(array) => erase_opaque(&mut array.elem),
        Type::Group(group) => erase_opaque(&mut group.elem),
        Type::Paren(paren) => erase_opaque(&mut paren.elem),
        Type::Reference(reference) => erase_opaque(&mut reference.elem),
        Type::Slice(slice) => erase_opaque(&mut slice.elem),
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(erase_opaque),
        Type::Path(path) => erase_opaque_in_path(&mut path.path),
        Type::TraitObject(object) => {
            for bound in &mut object.bounds {
                if let TypeParamBound::Trait(bound) = bound {
                    erase_opaque_in_path(&mut bound.path);
                }
            }
        }
        _ => {}
    }
}

fn erase_opaque_in_path(path: &mut Path) {
    for segment in &mut path.segments {
        let PathArguments::AngleBracketed(arguments) = &mut segment.arguments else {
            continue;
        };
        for argument in &mut arguments.args {
            match argument {
                GenericArgument::Type(ty) => erase_opaque(ty),
                GenericArgument::AssocType(output) => erase_opaque(&mut output.ty),
                _ => {}
            }
        }
    }
}

pub(crate) fn infer(ty: &Type) -> Type {
    Type::Infer(TypeInfer {
        attrs: Vec::new(),
        underscore_token: Token![_](ty.span()),
    })
}
